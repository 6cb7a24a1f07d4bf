#include "renas/training.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <numeric>
#include <span>

#include "backend/contract.h"
#include "core/checksum.h"
#include "renas/error.h"

namespace renas {

const char* to_string(Fitness fitness) {
  return fitness == Fitness::kAccuracy           ? "accuracy"
         : fitness == Fitness::kBalancedAccuracy ? "balanced"
                                                 : "likelihood";
}

Fitness parse_fitness(const std::string& text) {
  for (const Fitness fitness :
       {Fitness::kAccuracy, Fitness::kBalancedAccuracy, Fitness::kLikelihood}) {
    if (text == to_string(fitness)) return fitness;
  }
  throw InvalidInput(
      fmt::format("fitness: expected accuracy, balanced or likelihood, got '{}'", text));
}

double Score::judged_by(Fitness fitness) const {
  if (fitness == Fitness::kAccuracy) return accuracy;
  if (fitness == Fitness::kBalancedAccuracy) return balanced_accuracy;
  return count > 0 && std::isfinite(loss) ? std::exp(-loss) : 0;
}

const char* to_string(Schedule schedule) {
  return schedule == Schedule::kCosine       ? "cosine"
         : schedule == Schedule::kPolynomial ? "polynomial"
                                             : "steps";
}

Schedule parse_schedule(const std::string& text) {
  for (const Schedule schedule : {Schedule::kCosine, Schedule::kPolynomial, Schedule::kSteps}) {
    if (text == to_string(schedule)) return schedule;
  }
  throw InvalidInput(fmt::format("schedule: expected cosine, polynomial or steps, got '{}'", text));
}

namespace {

double cosine_factor(const Recipe& recipe, int64_t step, int64_t steps_per_epoch) {
  if (recipe.cosine_cycles.empty()) return 1;
  int64_t start = 0;
  int64_t length = 0;
  for (std::size_t cycle = 0;; ++cycle) {
    const std::size_t i = std::min(cycle, recipe.cosine_cycles.size() - 1);
    length = std::max<int64_t>(1, recipe.cosine_cycles[i] * steps_per_epoch);
    if (step < start + length) break;
    start += length;
  }
  const double progress = static_cast<double>(step - start) / static_cast<double>(length);
  const double factor = 0.5 * (1 + std::cos(std::numbers::pi * progress));
  return recipe.least_factor + (1 - recipe.least_factor) * factor;
}

double polynomial_factor(const Recipe& recipe, int64_t step, int64_t steps_per_epoch) {
  const auto total = static_cast<double>(std::max<int64_t>(1, recipe.epochs * steps_per_epoch));
  const double left = std::max(0.0, 1 - static_cast<double>(step) / total);
  return recipe.least_factor + (1 - recipe.least_factor) * std::pow(left, recipe.power);
}

double steps_factor(const Recipe& recipe, int64_t step, int64_t steps_per_epoch) {
  const int64_t epoch = step / std::max<int64_t>(1, steps_per_epoch);
  const int64_t taken = recipe.step_every > 0
                            ? epoch / recipe.step_every
                            : std::count_if(recipe.step_epochs.begin(), recipe.step_epochs.end(),
                                            [epoch](int64_t at) { return at <= epoch; });
  return std::pow(recipe.step_factor, static_cast<double>(taken));
}

}  // namespace

double rate_factor(const Recipe& recipe, int64_t step, int64_t steps_per_epoch) {
  const double factor =
      recipe.schedule == Schedule::kCosine       ? cosine_factor(recipe, step, steps_per_epoch)
      : recipe.schedule == Schedule::kPolynomial ? polynomial_factor(recipe, step, steps_per_epoch)
                                                 : steps_factor(recipe, step, steps_per_epoch);
  const int64_t warm_up = recipe.warm_up_epochs * steps_per_epoch;
  if (step >= warm_up) return factor;
  return factor * static_cast<double>(step + 1) / static_cast<double>(warm_up);
}

namespace {

/// What a rank's random masks follow from: rank 0's are those of a rank alone.
uint64_t mask_seed(uint64_t seed, const Communicator* communicator) {
  const int rank = communicator == nullptr ? 0 : communicator->rank();
  return seed + static_cast<uint64_t>(rank) * 0x9E3779B97F4A7C15U;
}

/// Averages the running statistics of batch norms in `weights` over the ranks, so that they are the
/// same on all of them. Throws Error where the ranks' weights differ, which they must not.
void average_statistics(Weights& weights, Communicator& communicator) {
  std::vector<float> statistics;
  uint32_t checksum = 0;
  for (const auto& [name, tensor] : weights) {
    if (name.ends_with("/mean") || name.ends_with("/variance")) {
      statistics.insert(statistics.end(), tensor.values.begin(), tensor.values.end());
    } else {
      checksum = checksum * 31 + crc32({reinterpret_cast<const char*>(tensor.values.data()),
                                        tensor.values.size() * sizeof(float)});
    }
  }
  const std::vector<double> checksums = gather(&communicator, checksum);
  if (std::any_of(checksums.begin(), checksums.end(),
                  [&](double other) { return other != checksums[0]; })) {
    throw Error(
        "the ranks' weights differ from each other after an epoch: sums over ranks or the ranks' "
        "processors do not give equal bits. --resume goes on from the checkpoint before");
  }
  communicator.sum(std::span<float>(statistics));
  auto sum = statistics.begin();
  for (auto& [name, tensor] : weights) {
    if (!name.ends_with("/mean") && !name.ends_with("/variance")) continue;
    for (float& value : tensor.values) value = *sum++ / static_cast<float>(communicator.ranks());
  }
}

/// Reads the length of a program's gradient, which Program::reduce hands out part by part, and on a
/// second round scales it.
class Clipper final : public Reducer {
 public:
  explicit Clipper(double longest) : longest_(longest) {}
  void sum(std::span<float> values) override {
    if (scaling_) {
      const auto factor = static_cast<float>(longest_ / std::sqrt(squares_));
      for (float& value : values) value *= factor;
      return;
    }
    for (const float value : values) squares_ += double{value} * double{value};
  }
  /// Scales the program's gradient down to the longest that is allowed.
  void clip(Program& program) {
    program.reduce(*this, 1);
    if (!(squares_ > longest_ * longest_)) return;
    scaling_ = true;
    program.reduce(*this, 1);
  }

 private:
  double longest_;
  double squares_ = 0;
  bool scaling_ = false;
};

/// Moves the average towards the program's weights after step `step`.
void move_average(Weights& average, const Program& program, double decay, int64_t step) {
  Weights now = program.save();
  if (average.empty()) {
    average = std::move(now);
    return;
  }
  const auto t = static_cast<double>(step);
  const auto kept = static_cast<float>(std::min(decay, (1 + t) / (10 + t)));
  for (auto& [name, tensor] : average) {
    const std::vector<float>& values = now.at(name).values;
    for (std::size_t i = 0; i < values.size(); ++i) {
      tensor.values[i] = kept * tensor.values[i] + (1 - kept) * values[i];
    }
  }
}

}  // namespace

TrainingEnd train(Program& program, Loader& loader, const Recipe& recipe, TrainingState& state,
                  const TrainingHooks& hooks, Communicator* communicator) {
  const int ranks = communicator == nullptr ? 1 : communicator->ranks();
  state.ranks = ranks;
  const int64_t steps_per_epoch = loader.batches();
  const int64_t total = std::max<int64_t>(1, steps_per_epoch * recipe.epochs);
  SgdStep sgd;
  sgd.momentum = static_cast<float>(recipe.momentum);
  sgd.weight_decay = static_cast<float>(recipe.weight_decay);
  sgd.nesterov = recipe.nesterov;
  sgd.decay_norms = recipe.decay_norms;
  sgd.learning_rates.resize(recipe.learning_rates.size());
  program.metrics();  // resets the counts

  while (state.epoch < recipe.epochs) {
    loader.start(static_cast<uint64_t>(state.epoch));
    EpochMetrics epoch;
    int64_t counted = 0;
    int64_t correct = 0;
    /// Adds the program's metrics to the epoch's. Returns false if the loss is not finite.
    const auto take_metrics = [&] {
      if (communicator != nullptr) communicator->wait_for_device();
      const StepMetrics metrics = program.metrics();
      std::array<double, 3> sums{metrics.loss, static_cast<double>(metrics.correct),
                                 static_cast<double>(metrics.count)};
      if (communicator != nullptr) communicator->sum(sums);
      epoch.loss += sums[0];
      correct += static_cast<int64_t>(sums[1]);
      counted += static_cast<int64_t>(sums[2]);
      return std::isfinite(sums[0]);
    };
    int unmeasured = 0;  // steps since the last call of take_metrics()
    for (int64_t step = state.epoch * steps_per_epoch;; ++step) {
      HostBatch& batch = program.staging();
      batch.count = loader.next(batch.images, batch.labels);
      if (batch.count == 0) break;
      const int images = batch.count * ranks;
      const float progress = static_cast<float>(step) / static_cast<float>(total);
      program.gradients({.seed = mask_seed(state.seed, communicator),
                         .step = static_cast<uint64_t>(step),
                         .drop_path = recipe.drop_path_grows ? progress : 1.0F});
      if (communicator != nullptr) {
        program.reduce(*communicator, ranks);
        if (recipe.clip_norm > 0 || recipe.average_decay > 0) communicator->wait_for_device();
      }
      const double factor = rate_factor(recipe, step, steps_per_epoch);
      for (std::size_t g = 0; g < sgd.learning_rates.size(); ++g) {
        sgd.learning_rates[g] = static_cast<float>(factor * recipe.learning_rates[g]);
      }
      if (recipe.clip_norm > 0) Clipper(recipe.clip_norm).clip(program);
      program.update(sgd);
      if (recipe.average_decay > 0) {
        move_average(state.average, program, recipe.average_decay, step);
      }
      if (++unmeasured >= program.steps_between_metrics()) {
        unmeasured = 0;
        if (!take_metrics()) return TrainingEnd::kDiverged;
      }
      if (hooks.on_step) hooks.on_step(images);
      if (any(communicator, hooks.stop && hooks.stop())) return TrainingEnd::kStopped;
    }
    if (unmeasured > 0 && !take_metrics()) return TrainingEnd::kDiverged;
    if (counted > 0) {
      epoch.loss /= static_cast<double>(counted);
      epoch.accuracy = static_cast<double>(correct) / static_cast<double>(counted);
    }
    if (communicator != nullptr) {
      Weights weights = program.save(true);
      average_statistics(weights, *communicator);
      program.load(weights);
      if (!state.average.empty()) average_statistics(state.average, *communicator);
    }
    ++state.epoch;
    state.history.push_back(epoch);
    if (hooks.on_epoch) hooks.on_epoch(state);
  }
  return TrainingEnd::kDone;
}

namespace {

/// Whether fewer than five classes have a higher score than `label`, or an equal one and stand
/// before it.
bool among_best_five(const float* scores, int classes, int label) {
  if (!std::isfinite(scores[label])) return false;
  int better = 0;
  for (int k = 0; k < classes; ++k) {
    better += !(scores[k] <= scores[label]) || (k < label && scores[k] == scores[label]) ? 1 : 0;
  }
  return better < 5;
}

/// The cross-entropy of the softmax of `scores` with `label`, in nats.
double cross_entropy(const float* scores, int classes, int label) {
  const double highest = *std::max_element(scores, scores + classes);
  double sum = 0;
  for (int k = 0; k < classes; ++k) sum += std::exp(double{scores[k]} - highest);
  return highest + std::log(sum) - double{scores[label]};
}

}  // namespace

Score score(Program& program, Loader& loader, int classes, const std::function<bool()>& stop,
            Communicator* communicator) {
  Score result;
  loader.start(0);
  std::vector<float> scores;
  // For each class the images of it that the network gets right, then for each class all of it; at
  // the end the images whose class is among the best five, and the loss.
  const auto class_count = static_cast<std::size_t>(classes);
  std::vector<double> counts(2 * class_count + 2);
  const std::span<double> correct(counts.data(), class_count);
  const std::span<double> count(counts.data() + class_count, class_count);
  double& among_five = counts[2 * class_count];
  double& loss = counts[2 * class_count + 1];
  for (;;) {
    HostBatch& batch = program.staging();
    batch.count = loader.next(batch.images, batch.labels);
    if (batch.count == 0) break;
    scores.resize(batch.labels.size() * static_cast<std::size_t>(classes));
    program.infer(scores);
    for (int i = 0; i < batch.count; ++i) {
      const float* row = scores.data() + std::ptrdiff_t{i} * classes;
      const int label = batch.labels[static_cast<std::size_t>(i)];
      if (label == kIgnored) continue;
      if (label < 0 || label >= classes) {
        throw InvalidInput(
            fmt::format("score: expected labels of the network's {} classes, from 0, found {}",
                        classes, label));
      }
      const bool right = contract::correct(row, classes, label);
      correct[static_cast<std::size_t>(label)] += right ? 1 : 0;
      ++count[static_cast<std::size_t>(label)];
      among_five += among_best_five(row, classes, label) ? 1 : 0;
      loss += cross_entropy(row, classes, label);
    }
    if (stop && stop()) break;
  }
  if (communicator != nullptr) communicator->sum(counts);
  result.correct = static_cast<int64_t>(std::accumulate(correct.begin(), correct.end(), 0.0));
  result.count = static_cast<int64_t>(std::accumulate(count.begin(), count.end(), 0.0));
  result.accuracy = result.count == 0
                        ? 0
                        : static_cast<double>(result.correct) / static_cast<double>(result.count);
  if (result.count > 0) {
    result.top5_accuracy = among_five / static_cast<double>(result.count);
    result.loss = loss / static_cast<double>(result.count);
  }
  int present = 0;
  for (std::size_t k = 0; k < count.size(); ++k) {
    if (count[k] == 0) continue;
    ++present;
    result.balanced_accuracy += correct[k] / count[k];
  }
  if (present > 0) result.balanced_accuracy /= present;
  return result;
}

}  // namespace renas
