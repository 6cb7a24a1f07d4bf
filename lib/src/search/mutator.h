#pragma once

#include <memory>
#include <vector>

#include "renas/random.h"
#include "renas/strategy.h"
#include "search/candidate_filter.h"
#include "search/state_io.h"

namespace renas::search {

/// A mutation with what is worth remembering of how it was drawn.
struct Proposal {
  Genome child;
  std::vector<Mutation> mutations;
  double log_probability = 0;
  double entropy = 0;
};

/// A result to learn from.
struct Sample {
  Genome parent;
  std::vector<Mutation> mutations;
  double log_probability = 0;  ///< when the actions were taken
  double entropy = 0;
  double fitness = 0;
};

/// How a parent is turned into a child.
class Mutator {
 public:
  virtual ~Mutator() = default;
  virtual Proposal mutate(const Genome& parent, CandidateFilter& filter) = 0;
  /// A genome was trained that has no parent.
  virtual void saw(const Genome& /*genome*/, double /*fitness*/) {}
  /// A child was trained.
  virtual void learn(const Sample& /*sample*/) {}
  virtual void save(StateWriter& writer) const = 0;
  virtual void load(const StateReader& reader) = 0;
};

}  // namespace renas::search
