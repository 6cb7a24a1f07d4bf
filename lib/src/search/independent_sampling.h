#pragma once

#include "renas/random.h"
#include "search/strategy_base.h"

namespace renas::search {

/// The base of strategies that draw every genome by itself: no candidate has a parent, so each is
/// trained from scratch. The population is the best P candidates told so far.
class IndependentSampling : public StrategyBase {
 public:
  IndependentSampling(const SearchSpace& space, const StrategyOptions& options)
      : StrategyBase(space, options), random_(options.seed, Purpose::kSearch) {}

 protected:
  /// Draws one genome.
  virtual Genome draw() = 0;
  /// Takes in the fitness of a trained genome.
  virtual void learn(const Genome& /*genome*/, double /*fitness*/) {}

  Flight propose() final;
  Told accept(const Flight& flight, const Outcome& outcome, const Member& member) final;
  void save_more(StateWriter& writer) const override;
  void load_more(const StateReader& reader) override;

  Random random_;
};

}  // namespace renas::search
