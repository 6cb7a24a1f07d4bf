#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "renas/tensor.h"

namespace renas {

/// An image of 8-bit pixels [height, width, channels]; one channel is grey, three are red, green,
/// blue.
struct Image {
  Shape shape;
  std::vector<uint8_t> pixels;
};

enum class ImageKind { kJpeg, kPng };

/// The header of an encoded image.
struct ImageInfo {
  ImageKind kind = ImageKind::kJpeg;  ///< decided by the bytes, not by the name of the file
  Shape shape;                        ///< of the decoded image, with 1 or 3 channels
};

/// An image of more pixels is refused before memory is allocated for it.
inline constexpr int64_t kDefaultMaxPixels = 100'000'000;

struct DecodeOptions {
  int channels = 0;  ///< 1 or 3; 0: as the file has, 1 for grey images, 3 for others
  int64_t max_pixels = kDefaultMaxPixels;
  /// Whether a JPEG that ends early or has damaged parts is refused. Otherwise the decoder reads
  /// what it can.
  bool strict = true;
};

/// Reads the header of a JPEG or PNG file. Throws InvalidInput where the bytes are neither.
ImageInfo inspect_image(std::span<const uint8_t> bytes);

/// Decodes a JPEG or PNG file.
///
/// JPEG is decoded as libjpeg-turbo does by default, and CMYK and YCCK are converted to RGB as ink
/// on white. PNG of 16 bits keeps the upper byte, and palettes are looked up. Grey from colour is
/// the luma. Transparency, gamma, colour profiles and EXIF orientation are ignored. Throws
/// InvalidInput where the file is neither, damaged, truncated, too large, or of a kind that cannot
/// be decoded.
Image decode_image(std::span<const uint8_t> bytes, const DecodeOptions& options = {});

/// Encodes an image as JPEG with 4:2:0 chroma subsampling; `quality` is from 1 to 100. Throws
/// InvalidInput where the image has other than 1 or 3 channels, or no pixels.
std::vector<uint8_t> encode_jpeg(const Image& image, int quality = 95);

/// Resizes an image to height x width by Lanczos resampling (three lobes; the kernel is widened
/// when scaling down, against aliasing).
Image resize_image(const Image& image, int height, int width);

/// Crops height x width pixels of `image` from (top, left) on. Throws InvalidInput where they do
/// not lie within it.
Image crop_image(const Image& image, int top, int left, int height, int width);

}  // namespace renas
