#pragma once

// Images in forms the library reads but does not write, and a plain decoder to compare with.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "renas/image.h"

namespace renas::test {

/// A smooth colourful image with some texture, different in every pixel row.
Image colourful(int height, int width, int channels = 3);

struct PngForm {
  int bits = 8;  // a channel; 16: the lower byte is noise
  bool alpha = false;
  bool palette = false;  // 3 channels of at most 256 colours
  bool interlaced = false;
};
std::vector<uint8_t> encode_png(const Image& image, const PngForm& form = {});

/// A PNG file of 16 bits; `values` is [height, width, channels], channels 1 or 3.
std::vector<uint8_t> encode_png_16(const Shape& shape, const std::vector<uint16_t>& values);

/// EXIF data with the tag "Orientation" of that value and, before and behind it, another.
std::vector<uint8_t> exif_of(int orientation, bool big_endian);
/// A JPEG or PNG file with these EXIF data, in a segment APP1 or a chunk eXIf.
std::vector<uint8_t> with_exif(const std::vector<uint8_t>& file, const std::vector<uint8_t>& exif);
/// What a camera of that EXIF orientation stores of an upright image.
Image stored_as(const Image& upright, int orientation);

struct JpegForm {
  bool progressive = false;
  bool cmyk = false;  // `pixels` has 4 channels
  bool adobe = true;  // cmyk only: the marker that means inverted inks
  int h_samp = 2;     // chroma subsampling
  int v_samp = 2;
  int quality = 90;
};
std::vector<uint8_t> encode_jpeg_as(const Shape& shape, const std::vector<uint8_t>& pixels,
                                    const JpegForm& form);

/// libjpeg-turbo's own decoding of the whole file, to as many channels as asked for (1 or 3), at
/// eighths / 8 of the size.
Image plain_jpeg(std::span<const uint8_t> bytes, int channels, int eighths = 8);

}  // namespace renas::test
