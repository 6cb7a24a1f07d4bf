#include "renas/run_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "renas/model.h"

namespace renas {

std::vector<const HistoryEntry*> living(const std::vector<HistoryEntry>& history) {
  std::vector<const HistoryEntry*> members;
  for (const HistoryEntry& e : history) {
    if (e.status == Status::kOk) members.push_back(&e);
    if (e.removed) {
      std::erase_if(members, [&](const HistoryEntry* m) { return m->id == *e.removed; });
    }
  }
  return members;
}

const HistoryEntry* best_of(const std::vector<HistoryEntry>& history) {
  const HistoryEntry* best = nullptr;
  for (const HistoryEntry& e : history) {
    if (e.status != Status::kOk) continue;
    if (best == nullptr || e.fitness > best->fitness) best = &e;
  }
  return best;
}

std::vector<const HistoryEntry*> lineage_of(const std::vector<HistoryEntry>& history,
                                            const HistoryEntry& entry) {
  std::unordered_map<uint64_t, const HistoryEntry*> by_id;
  for (const HistoryEntry& e : history) by_id[e.id] = &e;
  std::vector<const HistoryEntry*> lineage;
  for (const HistoryEntry* e = &entry; e != nullptr;
       e = e->parent && by_id.contains(*e->parent) ? by_id[*e->parent] : nullptr) {
    lineage.push_back(e);
  }
  std::reverse(lineage.begin(), lineage.end());
  return lineage;
}

std::string mutation_text(const std::string& parent, const std::string& child) {
  const SearchSpace space = space_of(child);
  const Genome from = parse_genome(space, parent);
  const Genome to = parse_genome(space, child);
  std::string text;
  for (int b = 0; b < space.block_count(); ++b) {
    for (int i = space.first_slot(b); i < space.first_slot(b + 1); ++i) {
      if (from[i] == to[i]) continue;
      const Slot& slot = space.slot(i);
      text +=
          fmt::format("{}{}{}.{} {}>{}", text.empty() ? "" : ", ", space.cell_prefix(b),
                      space.number_of(b), slot.name, slot.choices[from[i]], slot.choices[to[i]]);
    }
  }
  return text.empty() ? "no change" : text;
}

std::vector<const HistoryEntry*> pareto_front(const std::vector<HistoryEntry>& history,
                                              int64_t HistoryEntry::*size) {
  std::vector<const HistoryEntry*> ordered;
  for (const HistoryEntry& e : history) {
    if (e.status == Status::kOk) ordered.push_back(&e);
  }
  std::stable_sort(ordered.begin(), ordered.end(), [&](const auto* a, const auto* b) {
    return a->*size != b->*size ? a->*size < b->*size : a->fitness > b->fitness;
  });
  std::vector<const HistoryEntry*> front;
  for (const HistoryEntry* e : ordered) {
    if (front.empty() || e->fitness > front.back()->fitness) front.push_back(e);
  }
  return front;
}

}  // namespace renas
