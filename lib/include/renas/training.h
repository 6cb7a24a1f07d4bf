#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "renas/backend.h"
#include "renas/communicator.h"
#include "renas/loader.h"
#include "renas/tensor.h"

namespace renas {

/// How the learning rate goes down.
enum class Schedule {
  kCosine,      ///< in cycles (SGDR, Loshchilov and Hutter 2017)
  kPolynomial,  ///< as a power of the share of the training that is left
  kSteps,       ///< by a factor, at given epochs or every few epochs
};
const char* to_string(Schedule schedule);  ///< "cosine", "polynomial", "steps"
/// Throws InvalidInput where `text` is none of them.
Schedule parse_schedule(const std::string& text);

/// How a network is trained: SGD with momentum on cross-entropy.
struct Recipe {
  int epochs = 1;
  /// At the start, by parameter group (ProgramOptions::parameter_groups).
  std::vector<double> learning_rates = {0.05};
  Schedule schedule = Schedule::kCosine;
  /// kCosine: lengths in epochs of the cycles, each from the full rate down to least_factor; the
  /// last is repeated while epochs remain. Empty: the rate is constant.
  std::vector<int> cosine_cycles = {};
  double least_factor = 0;            ///< kCosine, kPolynomial: of the rate, where it ends
  double power = 1;                   ///< kPolynomial
  std::vector<int> step_epochs = {};  ///< kSteps: epochs done before each step, ascending
  int step_every = 0;                 ///< kSteps: or a step each so many epochs; 0: step_epochs
  double step_factor = 0.1;           ///< kSteps: of the rate, at each step
  /// Over the first so many epochs the rate of the schedule is scaled up linearly, from one step's
  /// share to all of it.
  int warm_up_epochs = 0;
  double momentum = 0.9;
  bool nesterov = false;  ///< Nesterov's form of momentum
  double weight_decay = 3e-4;
  bool decay_norms = false;  ///< also of batch norms' scales and shifts, and of biases
  /// The gradient of all parameters together is scaled down to this Euclidean norm where it is
  /// longer; 0: it is not.
  double clip_norm = 0;
  /// Decay a step of an exponential moving average of the weights and statistics, which is then the
  /// result of the training; early steps count for less than it says: at most (1 + t) / (10 + t) at
  /// step t. 0: none.
  double average_decay = 0;
  /// Dropping of paths grows linearly from 0 to its full probability over the training, as NASNet's
  /// does; false: full from the start.
  bool drop_path_grows = true;
};

/// The factor of every learning rate at `step` of a training of `epochs` x `steps_per_epoch`: a
/// function of nothing else, so that a training that resumes has the rate it would have had.
double rate_factor(const Recipe& recipe, int64_t step, int64_t steps_per_epoch);

struct EpochMetrics {
  double loss = 0;      ///< mean over images of the main head's cross-entropy, in nats
  double accuracy = 0;  ///< of the training images as they were trained on, in [0, 1]
};

/// Where a training stands between two epochs: all that is needed to go on exactly. Orders,
/// augmentations and masks are functions of (seed, epoch, image) and (seed, step, element).
struct TrainingState {
  uint64_t seed = 0;
  int epoch = 0;  ///< epochs done
  int ranks = 1;  ///< that trained the last of them
  std::vector<EpochMetrics> history = {};
  Weights average = {};  ///< moving average of the weights; empty: none (Recipe::average_decay)
};

struct TrainingHooks {
  /// Asked after every step; true ends the training where it is (TrainingEnd::kStopped).
  std::function<bool()> stop;
  /// Told after every step: images in it, on all ranks.
  std::function<void(int images)> on_step;
  /// Told at the start, where devices could have summed the gradients of several ranks: how they
  /// are summed, and why so.
  std::function<void(const std::string&)> on_sums;
  /// Told after every epoch; the program holds the weights and momenta of that moment.
  std::function<void(const TrainingState&)> on_epoch;
};

enum class TrainingEnd {
  kDone,
  kStopped,   ///< a hook asked for it; weights are of the middle of an epoch
  kDiverged,  ///< the loss is not a finite number
};

/// Trains from state.epoch to recipe.epochs. `loader` must have been made with state.seed.
///
/// Over the ranks of `communicator` (null: one rank alone) each step averages the gradients of all
/// ranks, whose loaders must yield equally many full batches (LoaderOptions::drop_last). All ranks
/// hold the same weights. Random masks differ between ranks. Batch norms normalise by the rank's
/// own batch; their running statistics are averaged over the ranks at the end of each epoch. A rank
/// that is to stop, or whose loss is not finite, ends the training of all after the same step.
/// Every rank has the same state and end. Throws Error where the ranks' weights have come to
/// differ.
TrainingEnd train(Program& program, Loader& loader, const Recipe& recipe, TrainingState& state,
                  const TrainingHooks& hooks = {}, Communicator* communicator = nullptr);

/// What a network is judged by.
enum class Fitness {
  kAccuracy,          ///< share of the images that it gets right
  kBalancedAccuracy,  ///< mean over classes of the share of their images that it gets right
  kLikelihood,        ///< geometric mean of the probabilities of the right classes: exp(-loss)
};
const char* to_string(Fitness fitness);  ///< "accuracy", "balanced", "likelihood"
/// Throws InvalidInput where `text` is none of them.
Fitness parse_fitness(const std::string& text);

struct Score {
  double accuracy = 0;           ///< in [0, 1]
  double balanced_accuracy = 0;  ///< mean recall over the classes that occur, in [0, 1]
  double top5_accuracy = 0;      ///< the right class is among the five highest scores, in [0, 1]
  double loss = 0;  ///< mean cross-entropy in nats; infinite or NaN where scores are not finite
  int64_t correct = 0;
  int64_t count = 0;

  /// What `fitness` says of it, in [0, 1].
  double judged_by(Fitness fitness) const;
};

/// Accuracy and loss over one epoch of `loader` (which must not augment), by running statistics.
/// Over the ranks of `communicator`, each with its part of the images, every rank gets the score of
/// all. Throws InvalidInput where an image has a label that is not one of 0 to `classes` - 1.
Score score(Program& program, Loader& loader, int classes,
            const std::function<bool()>& stop = nullptr, Communicator* communicator = nullptr);

}  // namespace renas
