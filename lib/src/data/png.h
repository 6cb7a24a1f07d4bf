#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "renas/image.h"

namespace renas {

/// Reads the shape of the decoded image, with 1 or 3 channels, from the header of a PNG file.
/// Throws InvalidInput where the header is none.
Shape inspect_png(std::span<const uint8_t> bytes);
/// Reads from the header how many bits a stored value has: 1, 2, 4, 8 or 16. Throws as
/// inspect_png().
int png_bits(std::span<const uint8_t> bytes);
/// Decodes a PNG file (renas/image.h) as its pixels are stored. Throws InvalidInput.
Image decode_png(std::span<const uint8_t> bytes, const DecodeOptions& options);
/// As decode_index_map() (renas/image.h).
Image png_index_map(std::span<const uint8_t> bytes, int64_t max_pixels);
/// The values of a PNG file of 16 bits; none where it has fewer. Throws InvalidInput.
std::vector<uint16_t> png_values_of_16_bits(std::span<const uint8_t> bytes, int64_t max_pixels);

}  // namespace renas
