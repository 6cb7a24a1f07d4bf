#pragma once

#include <memory>
#include <span>
#include <vector>

#include "renas/genome.h"
#include "renas/random.h"
#include "renas/search_space.h"
#include "search/controller/lstm.h"
#include "search/controller/softmax_decision.h"
#include "search/controller/token_layout.h"

namespace renas::search {

/// What is maximised for one past action: weight * log-probability + entropy_weight * entropy.
struct PolicyTerm {
  const Genome* parent = nullptr;
  const std::vector<Mutation>* actions = nullptr;
  double weight = 0;
};

struct LogProbability {
  double value = 0;    ///< log-probability of all decisions, in nats
  double entropy = 0;  ///< summed over the decisions taken, in nats
};

/// The paper's mutation controller (section 4.2, algorithm 2): the parent is encoded once; then,
/// per block in order,
///
///   router           softmax over the slots of w_r . H(slot) + b_r; sample the slot to change
///   input mutator    for an input slot: softmax over its sources k of w_i . [H(k) ; H(slot)] + b_i
///   operator mutator for an operator slot: softmax over its operators of W_o H(slot) + b_o
///
/// All are linear in hidden states, so they are outputs of one Lstm: output 0 the router, 1 the
/// source's part and 2 the slot's part of the input mutator, then the operators of every kind.
/// A block without a choice (one slot, one choice) takes part as a decision of probability 1.
template <class T>
class MutationPolicy {
 public:
  MutationPolicy(const SearchSpace& space, int embedding, int hidden, bool bidirectional);

  Lstm<T>& lstm() { return *lstm_; }
  const Lstm<T>& lstm() const { return *lstm_; }

  /// Encodes parents [count] with the present weights; `sample` and `score` then refer to them.
  void encode(std::span<const Genome* const> parents);
  /// Samples a mutation of parent number `index` of the last encode.
  std::vector<Mutation> sample(int index, const Genome& parent, Random& random,
                               LogProbability* result);
  /// The log-probability of past actions on parent number `index` of the last encode.
  LogProbability score(int index, const std::vector<Mutation>& actions);
  /// Adds to the gradient that of -(weight log p + entropy_weight entropy), for the terms
  /// whose parents were last encoded, in that order.
  void gradient(std::span<const PolicyTerm> terms, double entropy_weight);

  /// Probabilities of block b's slots on parent `index` of the last encode.
  std::vector<double> router(int index, int block);
  /// Probabilities of the choices of a slot, were it routed to.
  std::vector<double> choices(int index, int slot);

 private:
  const T* row(int index, int step) const;
  void decide_router(int index, int block);
  void decide_choice(int index, int slot);

  SearchSpace space_;
  TokenLayout layout_;
  std::vector<int> first_output_;  // of each kind of operator slot
  std::unique_ptr<Lstm<T>> lstm_;
  SoftmaxDecision<T> decision_;
  std::vector<int> tokens_;
  std::vector<T> outputs_, d_outputs_;  // [batch, T, K]
};

extern template class MutationPolicy<float>;
extern template class MutationPolicy<double>;

}  // namespace renas::search
