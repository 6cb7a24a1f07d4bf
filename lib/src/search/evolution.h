#pragma once

#include <memory>
#include <utility>

#include "search/mutator.h"
#include "search/strategy_base.h"

namespace renas::search {

/// Asynchronous tournament evolution (paper, algorithm 1; Real et al., AAAI 2019 for kOldest):
///
///   ask:   fewer than P members alive or starting -> a random genome
///          else draw S members; the best is the parent, the worst is remembered; mutate the parent
///   tell:  the remembered worst leaves (if it has left already, the worst of a fresh draw of S;
///          kOldest: the oldest); the child joins, whatever its fitness; the mutator learns
///
/// With one candidate in flight at a time this is algorithm 1. Draws of S are without replacement;
/// among equals, the first drawn counts.
class Evolution final : public StrategyBase {
 public:
  enum class Removal { kWorst, kOldest };

  Evolution(const SearchSpace& space, const StrategyOptions& options,
            std::unique_ptr<Mutator> mutator, Removal removal);

 protected:
  Flight propose() override;
  Told accept(const Flight& flight, double fitness) override;
  void save_more(StateWriter& writer) const override;
  void load_more(const StateReader& reader) override;

 private:
  /// Draws S members: indices of the best and the worst of them.
  std::pair<std::size_t, std::size_t> tournament();

  std::unique_ptr<Mutator> mutator_;
  Removal removal_;
  Random random_;
};

}  // namespace renas::search
