#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "renas/image.h"

namespace renas::prep {

/// Turns a mask's value `void_value` into kVoid, which always is one. Throws InvalidInput where it
/// has a value that is neither void nor one of `classes` classes; the message names value and
/// place.
Image prepare_mask(Image mask, int classes, int void_value);

/// The pixels of each class in a mask, then those that are void.
std::vector<int64_t> count_pixels(const Image& mask, int classes);

}  // namespace renas::prep
