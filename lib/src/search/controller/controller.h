#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "renas/controller.h"
#include "search/controller/advantage.h"
#include "search/controller/policy.h"
#include "search/critic/critic.h"
#include "search/mutator.h"

namespace renas::search {

/// The paper's mutation controller: it samples mutations from a policy and trains the policy by
/// REINFORCE (section 4.2),
///
///   maximise  advantage * sum of log-probabilities of the 2B actions + entropy bonus
///
/// with Adam. ControllerOptions says what the batch of a step holds. Beyond the paper, a critic may
/// rank several sampled mutations; then the one ranked highest is proposed.
class Controller final : public Mutator {
 public:
  /// critic   ranks mutations where the options say so; it is taught by the strategy
  Controller(const SearchSpace& space, const ControllerOptions& options, uint64_t seed,
             std::shared_ptr<Critic> critic);

  Proposal mutate(const Genome& parent, CandidateFilter& filter, const Flights& in_flight) override;
  void score(const Genome& parent, Proposal& proposal) override;
  void learn(const Sample& sample) override;
  std::optional<ControllerView> view(const std::vector<Member>& members) const override;
  void save(StateWriter& writer) const override;
  void load(const StateReader& reader) override;

 private:
  /// Draws one mutation of the parent last encoded: from the policy, or by uniform exploration with
  /// probability ControllerOptions::exploration.
  Proposal draw(const Genome& parent);
  /// Draws one mutation by uniform exploration.
  Proposal explore(const Genome& parent);
  /// Draws mutations until the filter accepts one.
  Proposal sample(const Genome& parent, CandidateFilter& filter);
  /// Remembers a draw that the limits refused.
  void remember_refused(const Genome& parent, const Proposal& proposal);
  /// Takes one Adam step on `sample`, replayed results and refused draws.
  void update(const Sample& sample);

  SearchSpace space_;
  ControllerOptions options_;
  std::unique_ptr<MutationPolicy<float>> policy_;
  std::shared_ptr<Critic> critic_;  // null: there is none
  AdvantageRule advantage_;
  Random random_;
  Random replay_random_;
  long steps_ = 0;              // of Adam
  std::vector<float> entropy_;  // of the decisions of each child learnt from, in nats
  std::deque<Sample> recent_;   // the last `replay` results, oldest first
  std::deque<Sample> refused_;  // the last `learn_refusals` draws refused since, oldest first
};

}  // namespace renas::search
