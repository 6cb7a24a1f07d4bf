#pragma once

#include <cstdint>
#include <optional>
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

/// Lowest and highest of 16-bit values.
struct Range16 {
  int low = 0;
  int high = 65535;
  bool operator==(const Range16&) const = default;
};

enum class ImageKind { kJpeg, kPng };

/// The header of an encoded image.
struct ImageInfo {
  ImageKind kind = ImageKind::kJpeg;  ///< decided by the bytes, not by the name of the file
  Shape shape;                        ///< of the decoded, upright image, with 1 or 3 channels
  int orientation = 1;  ///< how stored pixels are turned, as EXIF numbers it; 1: upright, as stored
  int bits = 8;         ///< of a stored value: 16 in some PNG files, else 8 or fewer
};

/// An image of more pixels is refused before memory is allocated for it.
inline constexpr int64_t kDefaultMaxPixels = 100'000'000;

struct DecodeOptions {
  int channels = 0;  ///< 1 or 3; 0: as the file has, 1 for grey images, 3 for others
  int64_t max_pixels = kDefaultMaxPixels;
  /// Whether a JPEG that ends early or has damaged parts is refused. Otherwise the decoder reads
  /// what it can.
  bool strict = true;
  /// Whether the image is turned as its EXIF orientation says, in JPEG and in PNG; broken EXIF data
  /// count as absent. Otherwise pixels come as they are stored.
  bool upright = true;
  /// How 16-bit values of PNG become 8 bits: low and high of the range become 0 and 255, values
  /// beyond are clamped. None: the upper byte is kept. Requires low < high.
  std::optional<Range16> range_16;
};

/// Reads the header of a JPEG or PNG file. Throws InvalidInput where the bytes are neither.
ImageInfo inspect_image(std::span<const uint8_t> bytes);

/// Decodes a JPEG or PNG file.
///
/// JPEG is decoded as libjpeg-turbo does by default, and CMYK and YCCK are converted to RGB as ink
/// on white. Palettes of PNG are looked up. Grey from colour is the luma. Transparency, gamma and
/// colour profiles are ignored. Throws InvalidInput where the file is neither, damaged, truncated,
/// too large, or of a kind that cannot be decoded.
Image decode_image(std::span<const uint8_t> bytes, const DecodeOptions& options = {});

/// Decodes a PNG file of grey or of a palette to the values as they are stored, [height, width, 1]:
/// indices of a palette are not looked up, and values of 1, 2 and 4 bits not scaled. Throws
/// InvalidInput where the file is none, damaged, in colour or with transparency, or of 16 bits.
Image decode_index_map(std::span<const uint8_t> bytes, int64_t max_pixels = kDefaultMaxPixels);

/// The values of a PNG file of 16 bits, [height, width, channels] as stored, without its
/// transparency. Empty where the file has fewer bits or is JPEG. Throws as decode_image() does.
std::vector<uint16_t> values_of_16_bits(std::span<const uint8_t> bytes,
                                        int64_t max_pixels = kDefaultMaxPixels);

/// Sets the EXIF orientation of a JPEG or PNG file to 1, so that its pixels count as upright as
/// they are stored. A file without one stays as it is.
void clear_orientation(std::vector<uint8_t>& file);

/// Encodes an image as JPEG with 4:2:0 chroma subsampling; `quality` is from 1 to 100. Throws
/// InvalidInput where the image has other than 1 or 3 channels, or no pixels.
std::vector<uint8_t> encode_jpeg(const Image& image, int quality = 95);

/// Encodes an image as PNG, which keeps every pixel. Throws as encode_jpeg() does.
std::vector<uint8_t> encode_lossless(const Image& image);

/// Encodes an index map as PNG with a palette, [colours, 3] of 1 to 256. Throws InvalidInput where
/// the image has other than 1 channel, or an index beyond the palette.
std::vector<uint8_t> encode_with_palette(const Image& image, std::span<const uint8_t> palette);

/// Resizes an image to height x width by Lanczos resampling (three lobes; the kernel is widened
/// when scaling down, against aliasing).
Image resize_image(const Image& image, int height, int width);

/// Scales an image by one factor, as resize_image() does, so that it just covers height x width,
/// and crops the centre of that. This is how preparing programs make images of one size.
Image cover_image(const Image& image, int height, int width);

/// Crops height x width pixels of `image` from (top, left) on. Throws InvalidInput where they do
/// not lie within it.
Image crop_image(const Image& image, int top, int left, int height, int width);

}  // namespace renas
