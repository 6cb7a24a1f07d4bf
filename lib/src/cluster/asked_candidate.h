#pragma once

#include <cstdint>

#include "renas/run_directory.h"
#include "renas/strategy.h"

namespace renas {

/// Asks `strategy` as often as it had been asked when the result `entry` came, of which `asked`
/// times are done, and returns the candidate that the entry is the result of. Throws InvalidInput,
/// saying what is another than in the entry.
Candidate asked_candidate(Strategy& strategy, const HistoryEntry& entry, uint64_t& asked);

}  // namespace renas
