#pragma once

#include <optional>
#include <string>
#include <vector>

#include "renas/network.h"

namespace renas {

/// The names of published networks that build_network() knows: renasnet, nasnet-a, resnet-50, ...
std::vector<std::string> zoo_names();

/// Whether `text` is a name, rather than the text of a cell or an architecture.
bool is_zoo_name(const std::string& text);

/// The cells of a named network as text (see Architecture); the name itself where the network is
/// not made of cells; any text that is no name as it is. Throws InvalidInput where there is no such
/// name, and suggests the nearest.
std::string zoo_text(const std::string& name);

/// A row of the paper's tables 1 (CIFAR-10) and 2 (ImageNet), and some rows for scale.
struct ZooRow {
  int table = 0;  ///< 1, 2; 0: for scale
  std::string title;
  std::string genome;      ///< what build_network() takes; empty: cannot be built
  NetworkOptions network;  ///< as counted
  std::optional<double> printed_parameters = {};  ///< in millions
  std::optional<double> printed_mult_adds = {};   ///< in millions
  std::string note = {};                          ///< why the two differ, or what is not known
};
/// All rows, in the order of the paper.
const std::vector<ZooRow>& zoo_rows();

}  // namespace renas
