#pragma once

#include <cstdint>
#include <span>

#include "renas/image.h"

namespace renas {

/// Reads the shape of the decoded image, with 1 or 3 channels, from the header of a PNG file.
/// Throws InvalidInput where the header is none.
Shape inspect_png(std::span<const uint8_t> bytes);
/// Decodes a PNG file (renas/image.h). Throws InvalidInput.
Image decode_png(std::span<const uint8_t> bytes, const DecodeOptions& options);

}  // namespace renas
