#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <utility>

#include "renas/search_run.h"

namespace renas {

/// Reckons how fast the run goes and how long it still takes.
class ProgressMeter {
 public:
  using Time = std::chrono::steady_clock::time_point;

  /// `done` of this phase's results were there when it began in this session.
  void begin_phase(Time now, uint64_t done);
  void add_images(Time now, int64_t count);
  /// `p` with how fast it goes and how long it still takes.
  SearchProgress at(Time now, SearchProgress p);

 private:
  double images_per_second(Time now);

  Time started_ = std::chrono::steady_clock::now();
  Time phase_started_ = started_;
  uint64_t phase_done_before_ = 0;
  std::deque<std::pair<Time, int64_t>> images_;  ///< of the last seconds
};

}  // namespace renas
