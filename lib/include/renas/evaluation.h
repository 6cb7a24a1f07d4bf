#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "renas/backend.h"
#include "renas/dataset.h"
#include "renas/network.h"
#include "renas/strategy.h"
#include "renas/training.h"

namespace renas {

/// The pictures of a search: what children learn from and what they are judged by.
struct SearchData {
  DataSet pictures;                 ///< the training split of a file
  std::vector<int64_t> train;       ///< D_train, indices into it
  std::vector<int64_t> validation;  ///< D_val
};

/// The split `train` of a file with D_val held out, `validation` pictures of it (-1:
/// default_validation_count()), and D_train limited to `subset` (0: all), both stratified and decided
/// by `seed`. Throws InvalidInput where the numbers do not fit; `subset_name` is what messages call
/// that option.
SearchData open_search_data(const std::string& path, int64_t validation, int64_t subset,
                            uint64_t seed, const char* subset_name = "--subset");

/// How children are trained (paper, section 4.3 and 5.1).
struct ChildOptions {
  NetworkOptions network;
  int batch = 64;
  int initial_epochs = 5;            ///< of members that have no parent: cosine ...
  double initial_rate = 0.05;        ///< ... from this learning rate
  int child_epochs = 1;              ///< passes over D_train of a child that inherits
  double new_rate = 0.01;            ///< learning rate of a child's new parameters
  double inherited_rate = 0.001;     ///< and of inherited ones
  double momentum = 0.9;
  double weight_decay = 3e-4;
  Augmentation augmentation = Augmentation::search();
  int threads = 1;
  Precision precision = Precision::kFloat32;
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
  double fitness = 0;    ///< accuracy on D_val, in [0, 1]
  Counts counts;
  double inherited_share = 0;  ///< of the trainable numbers
  int64_t pictures = 0;        ///< trained on, all epochs together
  Weights weights;             ///< empty unless kOk
};

/// Trains a candidate and judges it. `parent` is null where the candidate has none. Failures of the
/// training (diverged, out of memory) are data in the result. Equal arguments give equal results:
/// all randomness is of candidate.stream(run_seed).
Evaluation evaluate_candidate(Backend& backend, const SearchSpace& space,
                              const Candidate& candidate, uint64_t run_seed, const Parent* parent,
                              const SearchData& data, const ChildOptions& options,
                              const TrainingHooks& hooks = {});

/// A network trained from scratch for its own sake: final candidates, renas-train.
struct FinalOptions {
  NetworkOptions network;
  Recipe recipe;
  int batch = 64;
  Augmentation augmentation = Augmentation::search();
  int threads = 1;
  Precision precision = Precision::kFloat32;
};

/// Where such a training stands, with the weights and momenta.
struct FinalState {
  TrainingState training;
  Weights weights;
};

/// Trains `genome` from `state` (a fresh one: epoch 0, no weights) to the end of the recipe.
/// `on_epoch` is called with a complete state after every epoch. `validation` may be empty: then
/// the fitness is 0.
Evaluation train_from_scratch(Backend& backend, const SearchSpace& space, const Genome& genome,
                              FinalState state, const SearchData& data,
                              const FinalOptions& options, const TrainingHooks& hooks,
                              const std::function<void(const FinalState&)>& on_epoch);

/// Accuracy of a finished network on pictures of its own data set, scaled and cut like the training's
/// but with nothing random.
Score score_network(Backend& backend, const Graph& graph, const Weights& weights,
                    const DataSet& pictures, const std::vector<int64_t>& indices, int batch,
                    int threads, Precision precision = Precision::kFloat32,
                    const Augmentation& training = Augmentation::none(),
                    const std::function<bool()>& stop = nullptr);

}  // namespace renas
