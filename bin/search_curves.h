#pragma once

#include <optional>
#include <string>
#include <vector>

#include "renas/objective.h"
#include "renas/strategy.h"

/// What one run of a strategy on an objective did, after each evaluation.
struct SearchRun {
  std::vector<float> truth_of_best;      ///< truth of the best by reward, in percent
  std::vector<float> population_reward;  ///< mean reward of the members, noise left out, in percent
  std::vector<float> changes;            ///< slots changed, of each child in the order asked
  renas::SearchCounts counts;
  double seconds = 0;  ///< of the strategy alone
};

/// Runs a strategy alone on `objective`, one candidate at a time, `evaluations` times; adds normal
/// noise of deviation `noise` percent to every reward, drawn from a stream of `seed`.
SearchRun run_search(const renas::Objective& objective, const renas::StrategyOptions& options,
                     int evaluations, double noise);

/// A mean over runs with its 95 % interval by bootstrap (2,000 resamples of runs, percentiles).
struct Interval {
  double mean = 0;
  double low = 0;
  double high = 0;
};
std::optional<Interval> bootstrap(const std::vector<double>& values);

/// All runs of one strategy.
struct StrategyCurves {
  std::string name;
  std::vector<SearchRun> runs;

  std::optional<Interval> truth_at(int evaluation) const;
  std::optional<Interval> population_at(int evaluation) const;
  /// Slots changed a child, over the last 50 children up to `evaluation`; none without children.
  std::optional<Interval> changes_at(int evaluation) const;
  /// Averaged over runs, by evaluation (from 0).
  std::vector<double> mean_truth() const;
  /// Averaged over runs, by child.
  std::vector<double> mean_changes() const;
};

/// The first evaluation (from 1) at which `truth` is at or above `goal`.
std::optional<int> first_reaching(const std::vector<double>& truth, double goal);
