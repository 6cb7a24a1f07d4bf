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

/// The reinforced mutation: samples from the policy, learns from results by REINFORCE,
///
///   maximise  advantage * sum of log-probabilities of the 2B actions + entropy bonus
///
/// one Adam step at a time; see ControllerOptions for what a step holds. With a critic, of several
/// sampled mutations the one it ranks highest is proposed.
class Controller final : public Mutator {
 public:
  Controller(const SearchSpace& space, const ControllerOptions& options, uint64_t seed);

  Proposal mutate(const Genome& parent, CandidateFilter& filter) override;
  void saw(const Genome& genome, double fitness) override;
  void learn(const Sample& sample) override;
  void save(StateWriter& writer) const override;
  void load(const StateReader& reader) override;

  MutationPolicy<float>& policy() { return *policy_; }
  /// Of every child learnt from, in nats.
  const std::vector<float>& entropy() const { return entropy_; }

 private:
  /// One draw, from the policy or from chance, on the parent last encoded.
  Proposal draw(const Genome& parent);
  Proposal explore(const Genome& parent);
  /// Draws until the filter lets one through.
  Proposal sample(const Genome& parent, CandidateFilter& filter);
  void update(const Sample& sample);

  SearchSpace space_;
  ControllerOptions options_;
  std::unique_ptr<MutationPolicy<float>> policy_;
  std::unique_ptr<Critic> critic_;
  AdvantageRule advantage_;
  Random random_;
  Random replay_random_;
  long steps_ = 0;
  std::vector<float> entropy_;
  std::deque<Sample> recent_;  // the last `replay`, oldest first
};

}  // namespace renas::search
