#pragma once

#include <cstddef>
#include <vector>

#include "renas/controller.h"
#include "search/state_io.h"

namespace renas::search {

/// Turns fitness into what REINFORCE weighs actions with.
class AdvantageRule {
 public:
  explicit AdvantageRule(const ControllerOptions& options) : options_(options) {}

  /// tan(f pi / 2), f at most 0.99 (paper, section 4.3; the cap keeps it finite).
  static double reward(double fitness);
  /// Notes a new result.
  void add(double fitness);
  /// The advantage of a result. For the moving average, that of the result last noted, against
  /// those before it (the first has none: 0).
  double of(double fitness) const;

  void save(StateWriter& writer) const;
  void load(const StateReader& reader);

 private:
  ControllerOptions options_;
  double average_ = 0;  // of the results before the last
  double next_ = 0;     // the last included
  bool started_ = false;
  std::vector<double> window_;  // the last rewards, a ring
  std::size_t position_ = 0;
  double mean_ = 0;
  double deviation_ = 1;
  void measure();
};

}  // namespace renas::search
