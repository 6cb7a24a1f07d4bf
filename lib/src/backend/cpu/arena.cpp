#include "backend/cpu/arena.h"

#include <algorithm>
#include <numeric>

namespace renas::cpu {

std::vector<std::size_t> pack_live_ranges(const std::vector<LiveRange>& lives, std::size_t& total) {
  constexpr std::size_t kAlign = 16;  // floats
  std::vector<std::size_t> order(lives.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return lives[a].size > lives[b].size; });
  std::vector<std::size_t> offsets(lives.size());
  std::vector<std::size_t> placed;  // by offset
  total = 0;
  for (const std::size_t i : order) {
    const std::size_t size = (lives[i].size + kAlign - 1) / kAlign * kAlign;
    std::size_t offset = 0;
    for (const std::size_t other : placed) {
      if (lives[other].last < lives[i].first || lives[other].first > lives[i].last) continue;
      if (offsets[other] >= offset + size) break;
      offset =
          std::max(offset, offsets[other] + (lives[other].size + kAlign - 1) / kAlign * kAlign);
    }
    offsets[i] = offset;
    placed.insert(std::upper_bound(placed.begin(), placed.end(), offset,
                                   [&](std::size_t at, std::size_t p) { return at < offsets[p]; }),
                  i);
    total = std::max(total, offset + size);
  }
  return offsets;
}

}  // namespace renas::cpu
