#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "renas/strategy.h"
#include "search/candidate_filter.h"
#include "search/flights.h"
#include "search/state_io.h"

namespace renas::search {

/// The base of all strategies: ids, candidates in flight, the best candidate, counts, and how all
/// of that is saved and loaded.
class StrategyBase : public Strategy {
 public:
  StrategyBase(const SearchSpace& space, const StrategyOptions& options);

  const SearchSpace& space() const final { return space_; }
  Candidate ask() final;
  Told tell(uint64_t id, const Outcome& outcome) final;
  void adopt(const Candidate& asked, std::optional<uint64_t> removed) final;
  const std::vector<Member>& population() const final { return members_; }
  std::vector<Candidate> in_flight() const final;
  bool keeps(uint64_t id) const final;
  std::optional<Member> best() const override { return best_; }
  SearchCounts counts() const final;
  State save() const final;
  void load(const State& state) final;

 protected:
  /// Proposes a new candidate; ask() gives it its id.
  virtual Flight propose() = 0;
  /// Takes in a candidate that was trained: decides whether it joins, as `member`, and learns from
  /// it.
  virtual Told accept(const Flight& flight, const Outcome& outcome, const Member& member) = 0;
  /// Sets log_probability and entropy to those of the candidate's mutations as of now.
  virtual void score(Flight& /*flight*/) {}
  /// Takes in a candidate that failed; by default there is nothing to learn from it.
  virtual void fail(const Flight& /*flight*/, Status /*status*/) {}
  /// Saves and loads what the derived strategy adds to the state.
  virtual void save_more(StateWriter& writer) const = 0;
  virtual void load_more(const StateReader& reader) = 0;

  const StrategyOptions& options() const { return options_; }
  std::size_t capacity() const { return options_.population; }
  /// Draws the genome of a candidate without a parent, by `make`. Where the limits refuse all that
  /// is drawn, the best member's is asked once more: a search does not end for that. Throws Refused
  /// where there is no member.
  Genome draw_without_parent(const std::function<Genome()>& make);
  /// A member that is judged by `fitness` as yet.
  Member make_member(uint64_t id, const Genome& genome, double fitness) const;
  /// The index of member `id`; empty if it has left.
  std::optional<std::size_t> find(uint64_t id) const;
  /// Removes the member at `index` and returns its id.
  uint64_t remove(std::size_t index);

  std::vector<Member> members_;  ///< oldest first
  Flights flights_;
  CandidateFilter filter_;

 private:
  void load_all(const State& state);

  SearchSpace space_;
  StrategyOptions options_;
  std::string fingerprint_;  // of the search space, to refuse the state of another one
  uint64_t next_id_ = 0;
  uint64_t succeeded_ = 0;
  uint64_t failed_ = 0;
  std::optional<Member> best_;
};

}  // namespace renas::search
