#pragma once

#include <cstddef>
#include <vector>

namespace renas::cpu {

/// A buffer that is needed from time `first` to time `last`, both included.
struct LiveRange {
  std::size_t size = 0;  // floats
  int first = 0;
  int last = 0;
};

/// Places buffers in one arena so that those whose lives overlap do not: the largest first, each at
/// the lowest free offset. TileOffsets are multiples of 64 bytes. Sets `total` to the arena's
/// floats.
std::vector<std::size_t> pack_live_ranges(const std::vector<LiveRange>& lives, std::size_t& total);

}  // namespace renas::cpu
