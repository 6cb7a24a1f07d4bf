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
