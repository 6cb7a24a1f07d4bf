#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "renas/dataset.h"
#include "renas/evaluation.h"
#include "renas/genome.h"
#include "renas/network.h"
#include "renas/state.h"
#include "renas/tensor.h"

namespace renas {

/// A trained network with all that is needed to use it, stored as one HDF5 file
/// (lib/src/store/FORMAT.md).
struct Model {
  std::string genome;      ///< what build_network() takes: a cell, an Architecture or a name
  NetworkOptions network;  ///< without the settings that only training uses
  std::vector<std::string> class_names;
  std::vector<double> mean;  ///< of each channel: the input is (value - mean) / sd
  std::vector<double> sd;    ///< standard deviation of each channel, of values in [0, 1]
  /// How an image is scaled and cut before it is normalised; nothing random (the training's
  /// Augmentation::evaluation()).
  Augmentation preparation;
  /// The range of 16-bit values that became 0 to 255 in the training images, if they had such.
  std::optional<Range16> range_16;
  double validation_accuracy = 0;  ///< in [0, 1]; 0 where nothing was held out
  /// Score::balanced_accuracy, likewise; none: not known, in models of earlier versions.
  std::optional<double> validation_balanced_accuracy;
  /// What it was trained for and how, in the trainer's words, as a checkpoint's purpose; empty: not
  /// known.
  std::string purpose;
  Weights weights;  ///< without momenta and auxiliary head
};

/// Assembles the model of a network that was trained on the data set of `info`; its weights come
/// later.
Model make_model(const std::string& genome, const NetworkOptions& network, const DataSetInfo& info,
                 const Augmentation& training);

/// The search space that `genome`, in the paper's notation, is a point of. Throws InvalidInput.
SearchSpace space_of(const std::string& genome);
/// Builds the model's network for inference, without the auxiliary head.
Graph graph_of(const Model& model);

// Each file below appears whole or not at all, because it is written beside its name and renamed.
// All functions throw IoError with the file and the reason (missing, not HDF5, truncated, damaged,
// disk full).

void save_model(const std::string& path, const Model& model);
Model load_model(const std::string& path);

/// The weights that a member of a run's population passes on to its children by inheritance.
struct MemberWeights {
  std::string genome;  ///< text form
  Weights weights;
};
void save_member(const std::string& path, uint64_t id, const MemberWeights& member);
/// Loads the weights of member `id`. Throws IoError where the file belongs to another member.
MemberWeights load_member(const std::string& path, uint64_t id);

/// Saves a checkpoint: a training from scratch between two epochs. `purpose` says what is trained
/// and how, in the caller's words.
void save_checkpoint(const std::string& path, const std::string& purpose, const FinalState& state);
/// Loads a checkpoint. Throws InvalidInput where its purpose is another than `purpose`.
FinalState load_checkpoint(const std::string& path, const std::string& purpose);
/// The number of epochs done in a checkpoint, read without its weights.
int checkpoint_epoch(const std::string& path);
/// The purpose of a checkpoint, likewise.
std::string checkpoint_purpose(const std::string& path);

}  // namespace renas
