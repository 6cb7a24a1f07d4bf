#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "renas/run_directory.h"
#include "renas/strategy.h"

namespace renas {

/// Brings `strategy`, which includes the first `from` lines of a history, to where it was after all
/// of it. Returns the first line where it decides otherwise than it did then; none: it nowhere
/// does.
///
/// What learns computes in floating point, and processors of different kinds round in different
/// ways, so a choice that was a near tie may come out otherwise. From such a line on the history
/// holds, and the strategy adopts what was decided then.
///
/// population   P: the first candidates are drawn by whole numbers alone, alike on every processor
/// Throws InvalidInput, with the line's number in `line`, where an entry cannot be what a strategy
/// with these options decided on any processor.
std::optional<uint64_t> replay_history(Strategy& strategy, const std::vector<HistoryEntry>& history,
                                       uint64_t from, int population, uint64_t& line);

}  // namespace renas
