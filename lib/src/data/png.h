#pragma once

#include <cstdint>
#include <span>

#include "renas/image.h"

namespace renas {

/// The shape in the header of a PNG file, 1 or 3 channels. Throws InvalidInput.
Shape inspect_png(std::span<const uint8_t> bytes);
/// Throws InvalidInput.
Image decode_png(std::span<const uint8_t> bytes, const DecodeOptions& options);

}  // namespace renas
