#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "renas/run_directory.h"

namespace renas {

// What people ask of a history. Pointers are into the history, which must outlive them.

/// The members of the population after a history, in the order in which they joined.
std::vector<const HistoryEntry*> living(const std::vector<HistoryEntry>& history);

/// The result with the highest fitness, the earliest of equals; nullptr before the first success.
const HistoryEntry* best_of(const std::vector<HistoryEntry>& history);

/// A result and its ancestors, the oldest first, as far as the history has them.
std::vector<const HistoryEntry*> lineage_of(const std::vector<HistoryEntry>& history,
                                            const HistoryEntry& entry);

/// The changes between the cells of a parent and a child, such as "2.o1 sep3x3>identity" (block 2,
/// first operator); "no change" where there are none.
std::string mutation_text(const std::string& parent, const std::string& child);

/// The Pareto front of fitness against `size`, &HistoryEntry::parameters or ::mult_adds: the
/// results to which there is none that is smaller and as good, or better and as small. Smallest
/// first.
std::vector<const HistoryEntry*> pareto_front(const std::vector<HistoryEntry>& history,
                                              int64_t HistoryEntry::*size);

}  // namespace renas
