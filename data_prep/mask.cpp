#include "mask.h"

#include <fmt/format.h>

#include "renas/dataset.h"
#include "renas/error.h"

namespace renas::prep {

Image prepare_mask(Image mask, int classes, int void_value) {
  for (std::size_t i = 0; i < mask.pixels.size(); ++i) {
    uint8_t& value = mask.pixels[i];
    if (value == void_value) value = kVoid;
    if (value == kVoid || value < classes) continue;
    const auto width = static_cast<std::size_t>(mask.shape.width);
    throw InvalidInput(fmt::format(
        "value {} at row {}, column {}: expected a class, 0 to {}, or {} (void); --void names "
        "another value that is void, --classes the classes",
        value, i / width, i % width, classes - 1, void_value));
  }
  return mask;
}

std::vector<int64_t> count_pixels(const Image& mask, int classes) {
  std::vector<int64_t> counts(static_cast<std::size_t>(classes) + 1);
  for (const uint8_t value : mask.pixels) {
    ++counts[value == kVoid ? static_cast<std::size_t>(classes) : value];
  }
  return counts;
}

}  // namespace renas::prep
