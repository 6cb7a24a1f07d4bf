#pragma once

#include <string>
#include <vector>

#include "renas/genome.h"

namespace renas {

/// Published cells: a name and the text form of an Architecture or a genome.
struct NamedCells {
  std::string name;
  std::string text;
};
const std::vector<NamedCells>& named_cells();

}  // namespace renas
