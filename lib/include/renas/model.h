#pragma once

#include <cstdint>
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
  /// How an image is scaled and cut before it is normalised; nothing random (the training's
  /// Augmentation::evaluation()).
  Augmentation preparation;
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

/// What a member of a run's population hands on to its children.
struct MemberWeights {
  std::string genome;  ///< text form
  Weights weights;
};
void save_member(const std::string& path, uint64_t id, const MemberWeights& member);
/// Throws IoError where the file is of another member than `id`.
MemberWeights load_member(const std::string& path, uint64_t id);

/// A training between two epochs. `purpose` says what is trained and how, in the caller's words;
/// load_checkpoint throws InvalidInput where the file's differs.
void save_checkpoint(const std::string& path, const std::string& purpose, const FinalState& state);
FinalState load_checkpoint(const std::string& path, const std::string& purpose);
/// The epochs done in a checkpoint, read without its weights. Throws IoError.
int checkpoint_epoch(const std::string& path);

}  // namespace renas
