#pragma once

#include <algorithm>
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

/// One term of the objective: the actions that mutated a parent, and the weight of their
/// log-probability.
struct PolicyTerm {
  const Genome* parent = nullptr;
  const std::vector<Mutation>* actions = nullptr;
  double weight = 0;
};

/// The log-probability of a mutation and the entropy of the decisions that led to it.
struct LogProbability {
  double value = 0;    ///< summed over all decisions, in nats
  double entropy = 0;  ///< summed over the decisions taken, in nats
};

/// The policy of the mutation controller (paper, section 4.2, algorithm 2). The LSTM encodes the
/// parent once into hidden states H; then, for each block in order,
///
///   router            softmax over the slots: w_r . H(slot) + b_r; sample the slot to change
///   input mutator     softmax over the sources k of an input slot: w_i . [H(k) ; H(slot)] + b_i,
///                     or by additive attention v . tanh(W H(k) + U H(slot) + b_i)
///                     (ControllerOptions::attention)
///   operator mutator  softmax over the operators of an operator slot: W_o H(slot) + b_o
///
/// All three begin with what is linear in hidden states, so these are outputs of one Lstm: output 0
/// is the router, then follow the source's and the slot's part of the input mutator, each of one
/// unit or those of the attention, then the operators of every kind. A block without a choice (one
/// slot, one choice) takes part as a decision of probability 1.
template <class T>
class MutationPolicy {
 public:
  /// attention   units of additive attention in the input mutator; 0: one linear unit
  MutationPolicy(const SearchSpace& space, int embedding, int hidden, bool bidirectional,
                 int attention = 0);

  /// Draws initial parameters: normal numbers of the given standard deviation; but of the additive
  /// attention W, U and b of deviation 1 and v of 1 / sqrt(units). Hidden states are near 0 at
  /// first, so every source begins with the same score all the same. With a small v and b, what
  /// tells slots apart would be a product of many small numbers, and hardly learnt.
  void initialize(double deviation, Random& random);

  Lstm<T>& lstm() { return *lstm_; }
  const Lstm<T>& lstm() const { return *lstm_; }

  /// Encodes `parents` [count] with the present parameters. The functions below that take an
  /// `index` refer to a parent by its index in the last call.
  void encode(std::span<const Genome* const> parents);
  /// Samples a mutation of parent `index`. `result`, if not null, receives its log-probability.
  std::vector<Mutation> sample(int index, const Genome& parent, Random& random,
                               LogProbability* result);
  /// The log-probability of given actions on parent `index`.
  LogProbability score(int index, const std::vector<Mutation>& actions);
  /// Adds to the LSTM's gradient that of -(weight log p + entropy_weight entropy), summed over
  /// `terms`. Their parents must be those last encoded, in that order.
  void gradient(std::span<const PolicyTerm> terms, double entropy_weight);

  /// The router's probabilities of the slots of `block` on parent `index`.
  std::vector<double> router(int index, int block);
  /// The probabilities of the choices of `slot`, given that the router picks it.
  std::vector<double> choices(int index, int slot);

 private:
  /// The outputs [K] of one step of parent `index`.
  const T* row(int index, int step) const;
  /// Sets decision_ to the router's distribution over the slots of `block`.
  void decide_router(int index, int block);
  /// Sets decision_ to the distribution over the choices of `slot`.
  void decide_choice(int index, int slot);
  /// The input mutator's score of a source for the slot `chosen`, rows of the outputs.
  T input_score(const T* source, const T* chosen) const;
  /// Adds to `d_source`, `d_chosen` and the gradient by v what a derivative `d` by that score
  /// makes.
  void input_gradient(const T* source, const T* chosen, T d, T* d_source, T* d_chosen);
  /// Outputs of each part of the input mutator.
  int units() const { return std::max(1, attention_); }

  SearchSpace space_;
  TokenLayout layout_;
  int attention_;
  std::vector<int> first_output_;  // of each kind of operator slot
  std::unique_ptr<Lstm<T>> lstm_;
  SoftmaxDecision<T> decision_;
  std::vector<int> tokens_;
  std::vector<T> outputs_, d_outputs_;  // [batch, T, K]
};

extern template class MutationPolicy<float>;
extern template class MutationPolicy<double>;

}  // namespace renas::search
