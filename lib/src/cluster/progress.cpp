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

SearchProgress ProgressMeter::at(Time now, SearchProgress p) {
  p.images_per_second = images_per_second(now);
  const double done_now = static_cast<double>(p.done - static_cast<int64_t>(phase_done_before_));
  if (done_now > 0) {
    const double left =
        seconds(phase_started_, now) / done_now * static_cast<double>(p.total - p.done);
    p.seconds_left = std::min(left, p.seconds_left.value_or(left));
  }
  return p;
}

}  // namespace renas
