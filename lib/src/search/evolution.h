#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "search/mutator.h"
#include "search/strategy_base.h"

namespace renas::search {

/// Asynchronous tournament evolution (paper, algorithm 1; Real et al., AAAI 2019 for kOldest):
///
///   ask:   if members and random candidates in flight are fewer than P: propose a random genome
///          else: draw a tournament of S members; the best is the parent, the worst is remembered;
///          propose a mutation of the parent
///   tell:  the remembered worst leaves (if it has left already, the worst of a new tournament;
///          kOldest: the oldest member); the child joins, whatever its fitness; the mutator learns
///          from the child
///
/// With one candidate in flight at a time this is algorithm 1. Tournaments are drawn without
/// replacement; among equals, the member drawn first wins.
class Evolution final : public StrategyBase {
 public:
  /// Which member leaves when a child joins.
  enum class Removal { kWorst, kOldest };

  Evolution(const SearchSpace& space, const StrategyOptions& options,
            std::unique_ptr<Mutator> mutator, Removal removal);

  std::optional<ControllerView> controller_view() const override {
    return mutator_->view(members_);
  }

 protected:
  Flight propose() override;
  Told accept(const Flight& flight, double fitness) override;
  void save_more(StateWriter& writer) const override;
  void load_more(const StateReader& reader) override;

 private:
  /// Draws a tournament of S members and returns the indices of its best and its worst.
  std::pair<std::size_t, std::size_t> tournament();

  std::unique_ptr<Mutator> mutator_;
  Removal removal_;
  Random random_;
};

}  // namespace renas::search
