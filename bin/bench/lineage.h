#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "renas/random.h"
#include "renas/strategy.h"

/// A model of what inheritance does to the fitness of children, measured on real cells. A child is
/// trained shortly, from weights that were tuned to another cell, so it is told with less than its
/// cell would reach from scratch. What it lacks is its deficit, in points:
///
///   deficit(child) = recovery * deficit(parent) + drop(changes) * exp(spread * normal)
///
/// A candidate without a parent has none. A child that changes nothing has its parent's, recovered.
/// On the other hand its line has been trained for longer than a cell without a parent:
///
///   gain(child) = gain * log2(1 + generations since the one without a parent)
struct LineageModel {
  bool on = false;
  /// The median drop of a child with 1, 2, ... changed slots; the last holds for more. On CIFAR-10,
  /// cells of (N, F) = (1, 8), children of one pass of 2,000 images lost 2.7, 8.5, 10.8, 11.9 and
  /// 13.4 points, of which these are left without the parent's own deficit and luck.
  std::vector<double> drops{2, 4.5, 6, 7, 8};
  double spread = 0.5;    ///< standard deviation of the drop's logarithm
  double recovery = 0.5;  ///< share of the parent's deficit that is left after the child's pass
  double gain = 0;        ///< points for each doubling of a line's generations
  /// The mean, in points, of what a cell of its own is worse than cells like it: exponentially
  /// distributed, and nothing is known of one cell's from another's. The banks' heredity says how
  /// much there is.
  double roughness = 0;
  double seen = 0.25;  ///< share of that which a child with inherited weights is told with
};

/// What `genome` itself is worse than cells like it, in points (LineageModel::roughness).
double roughness_of(const LineageModel& model, const renas::SearchSpace& space,
                    const renas::Genome& genome);

/// Keeps the deficits of a run's candidates.
class Deficits {
 public:
  Deficits(const LineageModel& model, uint64_t seed)
      : model_(model), random_(seed, renas::Purpose::kNoise, 1) {}

  /// Draws the deficit of a new candidate, less its gain, in points; `changes` counts its changed
  /// slots.
  double draw(const renas::Candidate& candidate, int changes);
  /// The share of the trainable numbers that a child with so many changes inherits; 0 where the
  /// model is off, so that results count as trained from scratch.
  double inherited(const renas::Candidate& candidate, int changes) const;

 private:
  LineageModel model_;
  renas::Random random_;
  std::unordered_map<uint64_t, double> deficits_;  // by candidate
  std::unordered_map<uint64_t, int> generations_;  // likewise
};

/// How long evaluations take where several are in flight.
enum class Durations {
  kConstant,     ///< all alike
  kHeavyTailed,  ///< log-normal with a standard deviation of the logarithm of 1
  kMultAdds,     ///< proportional to the multiply-adds of the network of (N, F) = (1, 8)
};

/// The mult-adds of the network of (N, F) = (1, 8), a genome of the paper's space.
int64_t mult_adds_of(const renas::SearchSpace& space, const renas::Genome& genome);

/// Draws durations of evaluations.
class Clock {
 public:
  Clock(const renas::SearchSpace& space, Durations durations, uint64_t seed);
  double duration(const renas::Genome& genome);

 private:
  const renas::SearchSpace& space_;
  Durations durations_;
  renas::Random random_;
};
