#pragma once

#include <cstddef>
#include <vector>

#include "backend/plan/plan.h"

namespace renas::plan {

/// The times at which a buffer is needed: from `first` to `last`, both included.
struct LiveRange {
  std::size_t size = 0;  // floats
  int first = 0;
  int last = 0;
};

/// Places buffers in one arena so that those with overlapping live ranges do not overlap: the
/// largest first, each at the lowest free offset. Returns their offsets, multiples of `alignment`
/// floats, and sets `total` to the size of the arena in floats.
std::vector<std::size_t> pack_live_ranges(const std::vector<LiveRange>& ranges,
                                          std::size_t alignment, std::size_t& total);

/// The floats of the arena that a map of `batch` images takes, or its gradient.
std::size_t floats(const Stored& stored, int batch);

/// Gives every stored map and gradient of `plan` its offset in the arena. Group i of G runs forward
/// at time i and backward at time 2 G - 1 - i. A buffer's memory is free again `rest` groups after
/// its last use, so that these need not wait for it.
void lay_out(Plan& plan, int batch, std::size_t alignment, int rest);

}  // namespace renas::plan
