#include "renas/training.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "backend/contract.h"
#include "renas/error.h"

namespace renas {

const char* to_string(Fitness fitness) {
  return fitness == Fitness::kAccuracy ? "accuracy" : "balanced";
}

Fitness parse_fitness(const std::string& text) {
  for (const Fitness fitness : {Fitness::kAccuracy, Fitness::kBalancedAccuracy}) {
    if (text == to_string(fitness)) return fitness;
  }
  throw InvalidInput(fmt::format("fitness: expected accuracy or balanced, got '{}'", text));
}

double rate_factor(const Recipe& recipe, int64_t step, int64_t steps_per_epoch) {
  if (recipe.polynomial_power > 0) {
    const int64_t steps = std::max<int64_t>(1, recipe.epochs * steps_per_epoch);
    const double left = 1 - static_cast<double>(step) / static_cast<double>(steps);
    return std::pow(std::max(0.0, left), recipe.polynomial_power);
  }
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
  return 0.5 * (1 + std::cos(std::numbers::pi * progress));
}

TrainingEnd train(Program& program, Loader& loader, const Recipe& recipe, TrainingState& state,
                  const TrainingHooks& hooks) {
  const int64_t steps_per_epoch = loader.batches();
  const int64_t total = std::max<int64_t>(1, steps_per_epoch * recipe.epochs);
  SgdStep sgd;
  sgd.momentum = static_cast<float>(recipe.momentum);
  sgd.weight_decay = static_cast<float>(recipe.weight_decay);
  sgd.learning_rates.resize(recipe.learning_rates.size());
  program.metrics();  // resets the counts

  while (state.epoch < recipe.epochs) {
    loader.start(static_cast<uint64_t>(state.epoch));
    EpochMetrics epoch;
    int64_t counted = 0;
    int64_t correct = 0;
    /// Adds the program's metrics to the epoch's. Returns false if the loss is not finite.
    const auto take_metrics = [&] {
      const StepMetrics metrics = program.metrics();
      epoch.loss += metrics.loss;
      correct += metrics.correct;
      counted += metrics.count;
      return std::isfinite(metrics.loss);
    };
    int unmeasured = 0;  // steps since the last call of take_metrics()
    for (int64_t step = state.epoch * steps_per_epoch;; ++step) {
      HostBatch& batch = program.staging();
      batch.count = loader.next(batch.images, batch.labels);
      if (batch.count == 0) break;
      const int images = batch.count;
      const float progress = static_cast<float>(step) / static_cast<float>(total);
      program.gradients({.seed = state.seed,
                         .step = static_cast<uint64_t>(step),
                         .drop_path = recipe.drop_path_grows ? progress : 1.0F});
      const double factor = rate_factor(recipe, step, steps_per_epoch);
      for (std::size_t g = 0; g < sgd.learning_rates.size(); ++g) {
        sgd.learning_rates[g] = static_cast<float>(factor * recipe.learning_rates[g]);
      }
      program.update(sgd);
      if (++unmeasured >= program.steps_between_metrics()) {
        unmeasured = 0;
        if (!take_metrics()) return TrainingEnd::kDiverged;
      }
      if (hooks.on_step) hooks.on_step(images);
      if (hooks.stop && hooks.stop()) return TrainingEnd::kStopped;
    }
    if (unmeasured > 0 && !take_metrics()) return TrainingEnd::kDiverged;
    if (counted > 0) {
      epoch.loss /= static_cast<double>(counted);
      epoch.accuracy = static_cast<double>(correct) / static_cast<double>(counted);
    }
    ++state.epoch;
    state.history.push_back(epoch);
    if (hooks.on_epoch) hooks.on_epoch(state);
  }
  return TrainingEnd::kDone;
}

Score score(Program& program, Loader& loader, int classes, const std::function<bool()>& stop) {
  Score result;
  loader.start(0);
  std::vector<float> scores;
  std::vector<int64_t> correct(static_cast<std::size_t>(classes));  // of each class
  std::vector<int64_t> count(correct.size());
  for (;;) {
    HostBatch& batch = program.staging();
    batch.count = loader.next(batch.images, batch.labels);
    if (batch.count == 0) break;
    scores.resize(batch.labels.size() * static_cast<std::size_t>(classes));
    program.infer(scores);
    for (int i = 0; i < batch.count; ++i) {
      const float* row = scores.data() + std::ptrdiff_t{i} * classes;
      const int label = batch.labels[static_cast<std::size_t>(i)];
      const bool right = contract::correct(row, classes, label);
      result.correct += right ? 1 : 0;
      if (label == kIgnored) continue;
      correct[static_cast<std::size_t>(label)] += right ? 1 : 0;
      ++count[static_cast<std::size_t>(label)];
    }
    result.count += batch.count;
    if (stop && stop()) break;
  }
  result.accuracy = result.count == 0
                        ? 0
                        : static_cast<double>(result.correct) / static_cast<double>(result.count);
  int present = 0;
  for (std::size_t k = 0; k < count.size(); ++k) {
    if (count[k] == 0) continue;
    ++present;
    result.balanced_accuracy += static_cast<double>(correct[k]) / static_cast<double>(count[k]);
  }
  if (present > 0) result.balanced_accuracy /= present;
  return result;
}

}  // namespace renas
