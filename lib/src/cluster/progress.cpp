#include "cluster/progress.h"

#include <algorithm>

namespace renas {
namespace {

constexpr double kRateWindow = 15;  // seconds

double seconds(ProgressMeter::Time from, ProgressMeter::Time to) {
  return std::chrono::duration<double>(to - from).count();
}

}  // namespace

void ProgressMeter::begin_phase(Time now, uint64_t done) {
  phase_started_ = now;
  phase_done_before_ = done;
}

void ProgressMeter::add_images(Time now, int64_t count) {
  if (count > 0) images_.emplace_back(now, count);
}

double ProgressMeter::images_per_second(Time now) {
  while (!images_.empty() && seconds(images_.front().first, now) > kRateWindow) {
    images_.pop_front();
  }
  int64_t sum = 0;
  for (const auto& [when, count] : images_) sum += count;
  const double window = std::min(kRateWindow, seconds(started_, now));
  return window > 0 ? static_cast<double>(sum) / window : 0;
}

SearchProgress ProgressMeter::at(Time now, const SearchJournal& journal,
                                 const Retraining* retraining, const SearchRunOptions& options) {
  SearchProgress p;
  p.images_per_second = images_per_second(now);
  if (retraining != nullptr) {
    p.phase = SearchProgress::Phase::kRetrain;
    p.done = static_cast<int64_t>(retraining->done().size());
    p.total = static_cast<int64_t>(retraining->size());
    for (const RetrainedNetwork& n : retraining->done())
      p.best = std::max(p.best, n.validation_accuracy);
  } else {
    const auto& population = journal.strategy().population();
    for (const Member& m : population) {
      p.best = std::max(p.best, m.fitness);
      p.mean += m.fitness / static_cast<double>(population.size());
    }
    p.done = static_cast<int64_t>(journal.results());
    p.total = static_cast<int64_t>(journal.total());
  }
  const double done_now = static_cast<double>(p.done - static_cast<int64_t>(phase_done_before_));
  if (done_now > 0) {
    p.seconds_left =
        seconds(phase_started_, now) / done_now * static_cast<double>(p.total - p.done);
  }
  if (retraining == nullptr && options.time_budget > 0) {
    const double budget = std::max(0.0, options.time_budget - journal.elapsed());
    p.seconds_left = p.seconds_left ? std::min(*p.seconds_left, budget) : budget;
  }
  return p;
}

}  // namespace renas
