#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "renas/dataset_writer.h"
#include "renas/image.h"
#include "renas/tensor.h"

namespace renas::prep {

/// How pictures are prepared.
struct PictureOptions {
  std::optional<Shape> fixed;  ///< the shape of all images; none: they stay encoded
  int shorter_side = 0;        ///< encoded images are scaled down to it; 0: they stay as they are
  int quality = 95;            ///< of JPEG, where scaled
  int channels = 3;
  bool as_stored = false;  ///< EXIF orientation is not applied
  int64_t max_pixels = kDefaultMaxPixels;
  std::optional<Range16> range_16;  ///< see DecodeOptions
};

/// A file that was prepared.
struct Picture {
  std::vector<uint8_t> bytes;  ///< pixels of the fixed shape, or an encoded image
  std::string failure;         ///< why there are none; else empty
  std::size_t hash = 0;        ///< of the file
  std::optional<ChannelStatistics> statistics;
  Shape shape;                      ///< of the upright image before it was scaled
  std::vector<uint16_t> values_16;  ///< of a file of 16 bits
  bool scaled = false;
  bool misnamed = false;  ///< JPEG named as PNG or the other way round
  bool turned = false;    ///< EXIF says that its pixels are not stored upright
};

/// Reads, decodes and scales a file. Every picture is decoded, so that training meets no bad one;
/// an encoded one whose pixels need not change keeps its bytes. What fails is said in `failure`.
Picture prepare_picture(const std::string& path, const PictureOptions& options);

/// The values of a file of 16 bits; none of other files, and of those that cannot be decoded.
std::vector<uint16_t> read_values_16(const std::string& path, int64_t max_pixels);

}  // namespace renas::prep
