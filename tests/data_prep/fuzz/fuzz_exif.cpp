// Any bytes as EXIF data, alone and within a JPEG or PNG file: an orientation that lies within
// them, or none; one that is cleared is 1 and nothing else changed.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "data/exif.h"
#include "renas/image.h"

namespace {

void require(bool good) {
  if (!good) std::abort();
}

void check(std::span<const uint8_t> bytes) {
  const auto tag = renas::find_orientation(bytes);
  std::vector<uint8_t> cleared(bytes.begin(), bytes.end());
  renas::clear_orientation(cleared);
  require(cleared.size() == bytes.size());
  if (!tag) {
    require(std::equal(bytes.begin(), bytes.end(), cleared.begin()));
    return;
  }
  require(tag->value >= 1 && tag->value <= 8 && tag->offset + tag->bytes <= bytes.size());
  const auto again = renas::find_orientation(cleared);
  require(again && again->value == 1 && again->offset == tag->offset);
  std::ptrdiff_t changed = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) changed += bytes[i] != cleared[i] ? 1 : 0;
  require(changed <= 4 + 4);  // the value, and the checksum of a chunk of PNG
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  const std::span<const uint8_t> bytes(data, size);
  const auto tag = renas::find_tiff_orientation(bytes);
  if (tag) require(tag->value >= 1 && tag->value <= 8 && tag->offset + tag->bytes <= size);
  check(bytes);
  // As the content of a segment of JPEG, which has room for 65,527 bytes.
  const std::size_t length = std::min<std::size_t>(size, 65527);
  std::vector<uint8_t> jpeg{0xff, 0xd8, 0xff, 0xe1, 0, 0, 'E', 'x', 'i', 'f', 0, 0};
  jpeg[4] = static_cast<uint8_t>((length + 8) >> 8);
  jpeg[5] = static_cast<uint8_t>(length + 8);
  jpeg.insert(jpeg.end(), data, data + length);
  const auto within = renas::find_orientation(jpeg);
  require(within.has_value() == renas::find_tiff_orientation(bytes.first(length)).has_value());
  check(jpeg);
  return 0;
}
