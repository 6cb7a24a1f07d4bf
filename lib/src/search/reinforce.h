#pragma once

#include <memory>
#include <vector>

#include "renas/controller.h"
#include "search/controller/advantage.h"
#include "search/controller/lstm.h"
#include "search/controller/softmax_decision.h"
#include "search/controller/token_layout.h"
#include "search/independent_sampling.h"

namespace renas::search {

/// Search by reinforcement learning alone (`reinforce`; Zoph and Le, ICLR 2017): a one-directional
/// LSTM policy writes whole genomes token by token and learns from each fitness by REINFORCE. The
/// squashed logits, reward, baseline, entropy bonus and Adam are those of the mutation controller.
class Reinforce final : public IndependentSampling {
 public:
  Reinforce(const SearchSpace& space, const StrategyOptions& options);

 private:
  Genome draw() override;
  void learn(const Genome& genome, double fitness) override;
  void save_more(StateWriter& writer) const override;
  void load_more(const StateReader& reader) override;

  /// The index of the LSTM's output that scores `choice` of `slot`.
  int output(int slot, int choice) const;
  /// Turns `logits` [outputs] of one step into the distribution over the choices of `slot`.
  void decide(int slot, const float* logits);

  ControllerOptions options_;
  TokenLayout layout_;
  AdvantageRule advantage_;
  std::vector<int> first_output_;  // of each kind of operator slot; last, of input slots
  std::unique_ptr<Lstm<float>> lstm_;
  SoftmaxDecision<float> decision_;
  std::vector<float> logits_;
  long steps_ = 0;
};

}  // namespace renas::search
