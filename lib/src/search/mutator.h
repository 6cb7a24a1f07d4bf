#pragma once

#include <optional>
#include <vector>

#include "renas/random.h"
#include "renas/strategy.h"
#include "search/candidate_filter.h"
#include "search/flights.h"
#include "search/state_io.h"

namespace renas::search {

/// A mutated child, and the probability and entropy with which it was drawn.
struct Proposal {
  Genome child;
  std::vector<Mutation> mutations;
  double log_probability = 0;  ///< of the mutations, in nats
  double entropy = 0;          ///< of the decisions that drew them, in nats
};

/// A trained child, for a mutator to learn from.
struct Sample {
  Genome parent;
  std::vector<Mutation> mutations;
  double log_probability = 0;  ///< of the mutations when they were drawn, in nats
  double entropy = 0;          ///< of the decisions that drew them, in nats
  double fitness = 0;          ///< or effect, where children are judged by it
  bool failed = false;         ///< it has no fitness, and counts as 0
};

/// A mutation operator: it turns a parent into a child, and may learn from the child's fitness.
class Mutator {
 public:
  virtual ~Mutator() = default;
  /// Draws a child of `parent` that `filter` accepts, while others are `in_flight`.
  virtual Proposal mutate(const Genome& parent, CandidateFilter& filter,
                          const Flights& in_flight) = 0;
  /// Sets log_probability and entropy of `proposal` to those that its mutations of `parent` have
  /// now. A mutator that does not learn has no use for them.
  virtual void score(const Genome& /*parent*/, Proposal& /*proposal*/) {}
  /// Takes in what a child was judged by.
  virtual void learn(const Sample& /*sample*/) {}
  /// What the mutator has learnt, on these members; empty: it does not learn.
  virtual std::optional<ControllerView> view(const std::vector<Member>& /*members*/) const {
    return std::nullopt;
  }
  virtual void save(StateWriter& writer) const = 0;
  virtual void load(const StateReader& reader) = 0;
};

}  // namespace renas::search
