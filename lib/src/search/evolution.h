#pragma once

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "search/critic/critic.h"
#include "search/mutator.h"
#include "search/non_domination.h"
#include "search/strategy_base.h"

namespace renas::search {

/// Asynchronous tournament evolution (paper, algorithm 1; Real et al., AAAI 2019 for kOldest):
///
///   ask:   if members and random candidates in flight are fewer than P, or members fewer than two:
///          propose a random genome
///          else: draw a tournament of S members; the best is the parent, the worst is remembered;
///          propose a mutation of the parent (if the limits refuse all that is drawn: a random
///          genome, or else the parent's again, from scratch)
///   tell:  the remembered worst leaves (if it has left already, the worst of a new tournament;
///          kOldest: the oldest member); the child joins, whatever its fitness; the mutator learns
///          from the child
///
/// With one candidate in flight at a time this is algorithm 1. Tournaments are drawn without
/// replacement; among equals, the member drawn first wins. Where many candidates are asked before
/// the first result, waits() is true from the P-th on, until there are S members to hold a
/// tournament among, or half of P if that is fewer.
///
/// Best and worst are by effect (Member::effect). It is the fitness, unless members are judged by
/// effect and results inherit: then a critic estimates it anew, for all members, after each tell,
/// and the mutator learns from the child's effect. Where genomes have a size
/// (StrategyOptions::size), best and worst are by standing among all members in effect and size. A
/// child that fails changes nothing; mutator and critic learn from it where
/// ControllerOptions::learn_failures says so.
class Evolution final : public StrategyBase {
 public:
  /// Which member leaves when a child joins.
  enum class Removal { kWorst, kOldest };

  Evolution(const SearchSpace& space, const StrategyOptions& options,
            std::unique_ptr<Mutator> mutator, Removal removal,
            std::shared_ptr<Critic> critic = nullptr);

  std::optional<ControllerView> controller_view() const override {
    return mutator_->view(members_);
  }
  bool waits() const override;
  std::vector<Member> finalists() const override;
  std::optional<Member> best() const override;

 protected:
  Flight propose() override;
  void score(Flight& flight) override;
  Told accept(const Flight& flight, const Outcome& outcome, const Member& member) override;
  void fail(const Flight& flight, Status status) override;
  void save_more(StateWriter& writer) const override;
  void load_more(const StateReader& reader) override;

 private:
  /// Draws a tournament of S members and returns the indices of its best and its worst.
  std::pair<std::size_t, std::size_t> tournament();
  /// The standing of every member in effect and size; empty where size is no objective.
  std::vector<Standing> standings_of_members() const;
  /// The index of the member that leaves for a candidate: the one meant to, or if it has left, the
  /// worst of a tournament.
  std::size_t leaving(const Flight& flight);
  /// Whether effects differ from fitness.
  bool corrects() const { return by_effect_ && critic_->corrects(); }
  /// What the mutator learns from a child that was judged by `fitness`.
  static Sample sample_of(const Flight& flight, double fitness);
  /// The `count` best candidates by posterior mean.
  std::vector<Member> best_by_mean(std::size_t count) const;
  /// Estimates the effects of all members anew.
  void judge_members();

  std::unique_ptr<Mutator> mutator_;
  Removal removal_;
  std::shared_ptr<Critic> critic_;  // null: nothing needs one
  /// Chooses finalists by its mean. It is a critic of its own, since when a critic is asked decides
  /// when it chooses its hyper-parameters, and the search must not depend on that. Null: none does.
  std::unique_ptr<Critic> jury_;
  bool by_effect_;
  bool learns_failures_;
  Random random_;
};

}  // namespace renas::search
