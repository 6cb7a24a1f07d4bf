#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bench/lineage.h"
#include "renas/objective.h"
#include "renas/strategy.h"

/// One run of a strategy on an objective, as curves over its evaluations.
struct SearchRun {
  std::vector<float> truth_of_best;      ///< truth of the strategy's best(), in percent
  std::vector<float> population_reward;  ///< mean reward of the members, without noise, in percent
  std::vector<float> changes;            ///< slots changed, for each child in the order of asking
  /// Truth of the winner: the finalists are scored by their truth and noise of 0.7 points, as a
  /// retraining would, and the best of them wins. In percent.
  double winner = 0;
  renas::SearchCounts counts;
  double seconds = 0;  ///< time spent in the strategy alone
  double time = 0;     ///< when the last evaluation ended, in durations of a child
};

/// How strategies are tried.
struct Trial {
  int evaluations = 500;
  double noise = 0;      ///< standard deviation of normal noise on every reward, in percent
  LineageModel lineage;  ///< takes the deficits of children off their rewards
  int in_flight = 1;     ///< candidates that are evaluated at once
  Durations durations = Durations::kConstant;  ///< where there are several
  double initial_duration = 1;  ///< factor of the duration of candidates without a parent
  bool wait = false;            ///< whether a strategy that waits is not asked
  /// Candidates whose network of (N, F) = (1, 8) has more mult-adds fail, as if out of memory; 0:
  /// none does.
  int64_t fail_above = 0;
};

/// Runs a strategy on `objective`. All that is drawn follows from the strategy's seed.
SearchRun run_search(const renas::Objective& objective, const renas::StrategyOptions& options,
                     const Trial& trial);

/// A mean over runs and its 95 % confidence interval.
struct Interval {
  double mean = 0;
  double low = 0;
  double high = 0;
};
/// Computes the interval by bootstrap: percentiles of the means of 2,000 resamples. Empty if there
/// are no values.
std::optional<Interval> bootstrap(const std::vector<double>& values);

/// All runs of one strategy.
struct StrategyCurves {
  std::string name;
  std::vector<SearchRun> runs;

  /// truth_of_best after a number of evaluations, averaged over runs. Empty if a run is shorter.
  std::optional<Interval> truth_at(int evaluation) const;
  /// population_reward after a number of evaluations, averaged over runs. Empty if a run is
  /// shorter.
  std::optional<Interval> population_at(int evaluation) const;
  /// The winners' truth, averaged over runs.
  std::optional<Interval> winner() const;
  /// The winners' truth minus that of `other` with the same seed, averaged over runs.
  std::optional<Interval> winner_minus(const StrategyCurves& other) const;
  /// The number of slots changed per child, averaged over the last 50 children up to `evaluation`.
  /// Empty if there are no children.
  std::optional<Interval> changes_at(int evaluation) const;
  /// truth_of_best averaged over runs, by evaluation (from 0).
  std::vector<double> mean_truth() const;
  /// changes averaged over runs, by child.
  std::vector<double> mean_changes() const;
};

/// The number of the first evaluation (from 1) at which `truth` reaches `goal`. Empty if none does.
std::optional<int> first_reaching(const std::vector<double>& truth, double goal);
