#pragma once

#include <cstddef>
#include <vector>

#include "renas/controller.h"
#include "search/state_io.h"

namespace renas::search {

/// Computes the reward of a fitness and its advantage, the weight that REINFORCE gives to actions.
/// See ControllerOptions::Advantage for the kinds.
class AdvantageRule {
 public:
  explicit AdvantageRule(const ControllerOptions& options) : options_(options) {}

  /// The reward of a fitness f: tan(f pi / 2) (paper, section 4.3). f is capped at 0.99, so that
  /// the reward stays finite.
  static double reward(double fitness);
  /// Adds a result to the baseline.
  void add(double fitness);
  /// The advantage of a result. With kMovingAverage the baseline is the average of the results
  /// before the one last added; for the first result the advantage is 0.
  double of(double fitness) const;

  void save(StateWriter& writer) const;
  void load(const StateReader& reader);

 private:
  ControllerOptions options_;
  double average_ = 0;  // moving average of the rewards before the last
  double next_ = 0;     // moving average with the last reward
  bool started_ = false;
  std::vector<double> window_;  // the last rewards, as a ring buffer
  std::size_t position_ = 0;
  double mean_ = 0;  // of the window
  double deviation_ = 1;

  /// Computes mean and standard deviation of the window.
  void measure();
};

}  // namespace renas::search
