#include "cluster/replay_history.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "cluster/asked_candidate.h"
#include "renas/error.h"

namespace renas {
namespace {

/// Whether `id` is a member.
bool is_member(const Strategy& strategy, uint64_t id) {
  const std::vector<Member>& members = strategy.population();
  return std::any_of(members.begin(), members.end(),
                     [id](const Member& member) { return member.id == id; });
}

class HistoryReplay {
 public:
  HistoryReplay(Strategy& strategy, const std::vector<HistoryEntry>& history, uint64_t from,
                int population, uint64_t& line)
      : strategy_(strategy),
        history_(history),
        from_(from),
        population_(static_cast<uint64_t>(population)),
        line_(line) {
    for (const HistoryEntry& e : history) {
      genomes_.emplace(e.id, parse_genome(strategy.space(), e.genome));
    }
  }

  std::optional<uint64_t> run() {
    const State before = strategy_.save();
    while (!redo()) strategy_.load(before);
    return differs_from_;
  }

 private:
  /// Returns false where it must be begun again, since a tell has to be taken back, and nobody
  /// thought that it would.
  bool redo() {
    uint64_t asked = from_ + strategy_.in_flight().size();
    for (const HistoryEntry& e : history_) {
      if (e.line < from_) continue;
      line_ = e.line;
      const Candidate candidate = asked_candidate(strategy_, e.id, e.asked, asked);
      const std::string difference = difference_from(strategy_.space(), candidate, e);
      if (!difference.empty()) {
        check_possible(e, difference);
        differs_from_ = std::min(differs_from_.value_or(e.line), e.line);
        adopt(e);
      }
      const bool prepared = differs_from_ && e.line >= *differs_from_;
      const State before = prepared ? strategy_.save() : State{};
      if (tell(e)) continue;
      if (!prepared) {
        differs_from_ = e.line;
        return false;
      }
      strategy_.load(before);
      adopt(e);
      if (!tell(e)) {
        throw InvalidInput(fmt::format("no member can leave as it did for candidate {}", e.id));
      }
    }
    return true;
  }

  /// Whether the member leaves that left then.
  bool tell(const HistoryEntry& e) {
    const Told told = strategy_.tell(e.id, {e.status, e.fitness, e.inherited});
    return removed_by(e.id, e.status, told) == e.removed;
  }

  /// Throws InvalidInput, with `difference`, where no processor could have decided so.
  void check_possible(const HistoryEntry& e, const std::string& difference) const {
    const auto parent = e.parent ? genomes_.find(*e.parent) : genomes_.end();
    const bool from_parent =
        parent == genomes_.end() || apply(parent->second, e.mutations) == genomes_.at(e.id);
    if (e.id < population_ || !from_parent || (e.parent && *e.parent >= e.id)) {
      throw InvalidInput(difference);
    }
  }

  void adopt(const HistoryEntry& e) {
    Candidate candidate;
    candidate.id = e.id;
    candidate.genome = genomes_.at(e.id);
    candidate.parent = e.parent;
    candidate.mutations = e.mutations;
    const bool leaves = e.removed && is_member(strategy_, *e.removed);
    strategy_.adopt(candidate, leaves ? e.removed : std::nullopt);
  }

  Strategy& strategy_;
  const std::vector<HistoryEntry>& history_;
  uint64_t from_;
  uint64_t population_;
  uint64_t& line_;
  std::map<uint64_t, Genome> genomes_;
  std::optional<uint64_t> differs_from_;
};

}  // namespace

std::optional<uint64_t> replay_history(Strategy& strategy, const std::vector<HistoryEntry>& history,
                                       uint64_t from, int population, uint64_t& line) {
  return HistoryReplay(strategy, history, from, population, line).run();
}

}  // namespace renas
