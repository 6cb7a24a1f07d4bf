#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "renas/tensor.h"

namespace renas {

/// 8-bit pixels [height, width, channels]; one channel is grey, three are red, green, blue.
struct Image {
  Shape shape;
  std::vector<uint8_t> pixels;
};

enum class ImageKind { kJpeg, kPng };

/// What an encoded image says of itself.
struct ImageInfo {
  ImageKind kind = ImageKind::kJpeg;  ///< by its bytes, whatever its file is called
  Shape shape;                        ///< of what decode_image makes of it: 1 or 3 channels
};

/// Above so many pixels an image is refused before memory is taken for it.
inline constexpr int64_t kDefaultMaxPixels = 100'000'000;

struct DecodeOptions {
  int channels = 0;  ///< 1 or 3; 0: grey images 1, others 3
  int64_t max_pixels = kDefaultMaxPixels;
  /// Whether a JPEG that ends early or has damaged parts is refused; else what can be had is.
  bool strict = true;
};

/// Reads the header of a JPEG or PNG file. Throws InvalidInput where the bytes are neither.
ImageInfo inspect_image(std::span<const uint8_t> bytes);

/// Decodes a JPEG or PNG file. JPEG is decoded as libjpeg-turbo does by default; CMYK and YCCK turn
/// to RGB by ink on white; 16-bit PNG keeps the upper byte; palettes are looked up; transparency,
/// gamma, colour profiles and EXIF orientation are ignored; grey from colour is its luma. Throws
/// InvalidInput: neither JPEG nor PNG, damaged, truncated, too large, a kind that cannot be
/// decoded.
Image decode_image(std::span<const uint8_t> bytes, const DecodeOptions& options = {});

/// A JPEG file, 4:2:0, `quality` from 1 to 100.
std::vector<uint8_t> encode_jpeg(const Image& image, int quality = 95);

/// Scales to height x width with a Lanczos filter (three lobes, widened where it scales down).
Image resize_image(const Image& image, int height, int width);

/// The part of `image` that begins at (top, left). Throws InvalidInput where it is not within.
Image crop_image(const Image& image, int top, int left, int height, int width);

}  // namespace renas
