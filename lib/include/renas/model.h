#pragma once

#include <string>
#include <vector>

#include "renas/evaluation.h"
#include "renas/genome.h"
#include "renas/network.h"
#include "renas/state.h"
#include "renas/tensor.h"

namespace renas {

/// A trained network with all that is needed to use it: one HDF5 file (lib/src/store/FORMAT.md).
struct Model {
  std::string genome;      ///< text form, in the paper's notation
  NetworkOptions network;  ///< without what only training knows
  std::vector<std::string> class_names;
  std::vector<double> mean;  ///< per channel, of values in [0, 1]: (value - mean) / sd goes in
  std::vector<double> sd;
  double validation_accuracy = 0;  ///< in [0, 1]; 0 where nothing was held out
  Weights weights;                 ///< without momenta and auxiliary head
};

/// The space that `genome`, in the paper's notation, is a point of.
SearchSpace space_of(const std::string& genome);
/// The model's network, for inference.
Graph graph_of(const Model& model);

// Files appear whole or not at all: they are written beside their name and renamed. All of these
// throw IoError with the file and the reason (missing, not HDF5, truncated, damaged, disk full).

void save_model(const std::string& path, const Model& model);
Model load_model(const std::string& path);

/// Weights alone, with the genome they belong to.
void save_weights(const std::string& path, const std::string& genome, const Weights& weights);
/// Throws IoError where the file holds another genome than `genome`.
Weights load_weights(const std::string& path, const std::string& genome);

/// A training between two epochs. `purpose` says what is trained and how, in the caller's words;
/// load_checkpoint throws InvalidInput where the file's differs.
void save_checkpoint(const std::string& path, const std::string& purpose, const FinalState& state);
FinalState load_checkpoint(const std::string& path, const std::string& purpose);

}  // namespace renas
