#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "renas/report.h"

namespace renas {

/// A range that holds the truth with 95 % confidence.
struct Interval {
  double low = 0;
  double high = 0;
};

/// Of a share of `count` independent trials, by Wilson's score (1927).
Interval wilson(double share, int64_t count);

/// Of the mean of `values`, by Student's t; none for fewer than two.
std::optional<Interval> interval_of_mean(const std::vector<double>& values);
double mean_of(const std::vector<double>& values);

/// Fitness after each result: the best so far, and the mean of the population.
struct Progress {
  std::vector<double> best;  ///< 0 before the first success
  std::vector<double> mean;
};
Progress progress_of(const std::vector<HistoryEntry>& history);

/// How the ranks spent the time of the search.
struct RankUse {
  std::vector<int> ranks;     ///< those that trained, ascending
  std::vector<double> busy;   ///< seconds of training, by rank
  double elapsed = 0;         ///< seconds from the first begin to the last result
  double share() const;       ///< of all ranks' time
  double rank_hours() const;  ///< of training
};
RankUse rank_use(const std::vector<HistoryEntry>& history);

/// "73.20 %".
std::string percent(double share);
/// "73.20 % [72.3, 74.1]"; without the interval where `count` is 0.
std::string percent_with_interval(double share, int64_t count);
/// "1 h 05 min", "3 min 20 s", "12 s".
std::string duration(double seconds);
/// "4,670,144".
std::string grouped(int64_t number);

}  // namespace renas
