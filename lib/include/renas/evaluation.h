#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "renas/backend.h"
#include "renas/dataset.h"
#include "renas/network.h"
#include "renas/random.h"
#include "renas/search_space.h"
#include "renas/status.h"
#include "renas/training.h"

namespace renas {

/// The images of a search: what children learn from and what they are judged by.
struct SearchData {
  DataSet images;  ///< the training split of a file; behind it the validation group, if it is used
  std::vector<int64_t> train;              ///< D_train, indices into it
  std::vector<int64_t> validation;         ///< D_val
  std::vector<std::string> warnings = {};  ///< what people should know about it, a sentence each
};

/// Opens the split `train` of a file with D_val held out, `validation` images of it (-1:
/// default_validation_count()), and D_train limited to `subset` (0: all), both stratified and
/// decided by `seed`. With the name of another split as `validation_group`, D_val is taken of that
/// instead (all of it where `validation` is -1 or 0), and D_train of all training images. Throws
/// InvalidInput where the numbers do not fit, or there is no such split.
SearchData open_search_data(const std::string& path, int64_t validation, int64_t subset,
                            uint64_t seed, const std::string& validation_group = "");

/// Class weights (NetworkOptions::class_weights) by inverse frequency: images / (classes that occur
/// * images of the class) over D_train, so that their mean over its images is 1; 1 for a class that
/// does not occur.
std::vector<float> balanced_class_weights(const SearchData& data);

/// How children are trained (paper, sections 4.3 and 5.1). That they do not inherit is ours, and so
/// are the rates of those that do: in the paper's way fitness tells less of what a cell is worth
/// (bin/bench/SEARCH_RESULTS.md).
struct ChildOptions {
  NetworkOptions network;
  int batch = 64;
  /// Whether children begin with their parents' weights, as in the paper, where initial_epochs is
  /// 5; false: they are trained as members that have no parent.
  bool inherit = false;
  int initial_epochs = 1;        ///< of networks that inherit nothing: cosine ...
  double initial_rate = 0.05;    ///< ... from this learning rate
  int child_epochs = 1;          ///< passes over D_train of a child that inherits
  double new_rate = 0.03;        ///< learning rate of a child's new parameters
  double inherited_rate = 0.01;  ///< and of inherited ones
  /// Both fall to 0 by a cosine over a child's passes, as the rate of members without a parent
  /// does; false: they are constant, as in the paper.
  bool anneal_children = true;
  double momentum = 0.9;
  double weight_decay = 3e-4;
  Augmentation augmentation = Augmentation::search();
  Fitness fitness = Fitness::kAccuracy;
  Device device;
};

/// What a child inherits from.
struct Parent {
  Genome genome;
  Weights weights;
};

/// What became of a network that was trained.
struct Evaluation {
  Status status = Status::kOk;
  bool stopped = false;  ///< a hook ended it before it had a result
  std::string message;   ///< of a failure, for people
  std::string sums;      ///< what TrainingHooks::on_sums was told; empty: nothing
  double fitness = 0;    ///< on D_val, in [0, 1]: what the options' Fitness says of `score`
  Score score;           ///< on D_val
  Counts counts;
  double inherited_share = 0;  ///< of the trainable numbers
  int64_t images = 0;          ///< trained on, all epochs together
  Weights weights;             ///< empty unless kOk
};

/// Trains a candidate of `genome` and judges it. `parent` is null where the candidate has none, and
/// nothing is taken of it unless `options.inherit`.
/// Failures of the training (diverged, out of memory) are data in the result. Throws InvalidShape
/// where the images are not of the shape that `options.network.image` says. Equal arguments give
/// equal results: all randomness is of the stream `random`, a candidate's own (Candidate::stream).
Evaluation evaluate_candidate(Backend& backend, const SearchSpace& space, const Genome& genome,
                              Random random, const Parent* parent, const SearchData& data,
                              const ChildOptions& options, const TrainingHooks& hooks = {});

/// A network trained from scratch for its own sake: final candidates, renas-train.
struct FinalOptions {
  NetworkOptions network;
  Recipe recipe;
  int batch = 64;
  Augmentation augmentation = Augmentation::search();
  int plain_epochs = 0;  ///< at the end, with Augmentation::crop_and_flip() only
  /// What networks are compared by; with kLikelihood a search compares them by accuracy.
  Fitness fitness = Fitness::kAccuracy;
  bool frozen_statistics = false;  ///< of batch norms, see ProgramOptions
  Device device;
  /// The ranks that train the network together, each with `batch` images a step; null: one alone.
  Communicator* communicator = nullptr;
};

/// Where such a training stands, with the weights and momenta.
struct FinalState {
  TrainingState training;
  Weights weights;
};

/// Throws InvalidInput where `ranks` ranks, each with `batch` images a step, need more images for
/// one step than D_train has. One rank alone takes smaller batches.
void check_step(const SearchData& data, int batch, int ranks);

/// Trains a network from `state` (a fresh one: epoch 0, no weights) to the end of the recipe.
/// `on_epoch` is called with a complete state after every epoch. `validation` may be empty: then
/// the fitness is 0. Over several ranks all of them call it with equal arguments and get the same
/// result; want of memory is then an exception, as one rank alone has it. Throws InvalidInput where
/// the images are fewer than those of one step of all ranks, InvalidShape where they are not of the
/// shape that the network takes.
Evaluation train_from_scratch(Backend& backend, const Graph& graph, FinalState state,
                              const SearchData& data, const FinalOptions& options,
                              const TrainingHooks& hooks,
                              const std::function<void(const FinalState&)>& on_epoch);
/// The same for the network of `genome`.
Evaluation train_from_scratch(Backend& backend, const SearchSpace& space, const Genome& genome,
                              FinalState state, const SearchData& data, const FinalOptions& options,
                              const TrainingHooks& hooks,
                              const std::function<void(const FinalState&)>& on_epoch);

/// How a finished network is scored.
struct ScoreOptions {
  int batch = 64;
  Device device;
  /// Of the training: images are scaled and cut as they were there, with nothing random.
  Augmentation training = Augmentation::none();
  std::function<bool()> stop;            ///< asked after every batch; true ends the scoring
  Communicator* communicator = nullptr;  ///< ranks that share the images; null: one alone
};

/// Measures the accuracy of a finished network on the images `indices` of `images`. Throws
/// InvalidShape where they are not of the shape that the network takes, InvalidInput where one has
/// a label beyond its classes.
Score score_network(Backend& backend, const Graph& graph, const Weights& weights,
                    const DataSet& images, const std::vector<int64_t>& indices,
                    const ScoreOptions& options = {});

}  // namespace renas
