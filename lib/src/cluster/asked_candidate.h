#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "renas/run_directory.h"
#include "renas/strategy.h"

namespace renas {

/// Asks `strategy` until it was asked `until` times, of which `asked` are done, and returns the
/// candidate `id`. Throws InvalidInput where it is not in flight then.
Candidate asked_candidate(Strategy& strategy, uint64_t id, uint64_t until, uint64_t& asked);

/// In what `candidate` differs from the one that `entry` is the result of; empty: in nothing.
std::string difference_from(const SearchSpace& space, const Candidate& candidate,
                            const HistoryEntry& entry);

/// HistoryEntry::removed of candidate `id` that was told with this outcome.
std::optional<uint64_t> removed_by(uint64_t id, Status status, const Told& told);

}  // namespace renas
