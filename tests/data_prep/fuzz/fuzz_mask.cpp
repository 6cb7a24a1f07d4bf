// Any bytes as a mask: an index map of classes and void, or InvalidInput.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <numeric>
#include <span>
#include <vector>

#include "mask.h"
#include "renas/dataset.h"
#include "renas/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  const std::span<const uint8_t> bytes(data, size);
  try {
    const renas::Image map = renas::decode_index_map(bytes, 1 << 18);
    if (map.shape.channels != 1) std::abort();
    if (static_cast<int64_t>(map.pixels.size()) != map.shape.size()) std::abort();
    const renas::Image mask = renas::prep::prepare_mask(map, 21, 200);
    if (!(mask.shape == map.shape)) std::abort();
    for (const uint8_t value : mask.pixels) {
      if (value >= 21 && value != renas::kVoid) std::abort();
    }
    const std::vector<int64_t> counts = renas::prep::count_pixels(mask, 21);
    if (std::accumulate(counts.begin(), counts.end(), int64_t{0}) != mask.shape.size()) {
      std::abort();
    }
  } catch (const renas::InvalidInput&) {
  }
  return 0;
}
