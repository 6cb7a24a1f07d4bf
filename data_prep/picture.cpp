#include "picture.h"

#include <algorithm>
#include <functional>
#include <string_view>
#include <utility>

#include "files.h"
#include "renas/error.h"

namespace renas::prep {
namespace {

constexpr int64_t kMostFileBytes = int64_t{1} << 30;

Image shorten(const Image& image, int side) {
  const int shorter = std::min(image.shape.height, image.shape.width);
  const auto scaled = [&](int length) {
    return static_cast<int>((int64_t{length} * side * 2 + shorter) / (int64_t{shorter} * 2));
  };
  return resize_image(image, scaled(image.shape.height), scaled(image.shape.width));
}

bool is_misnamed(const std::string& path, ImageKind kind) {
  const bool png =
      path.size() > 4 && (path.back() | 0x20) == 'g' && (path[path.size() - 2] | 0x20) == 'n';
  return png != (kind == ImageKind::kPng);
}

}  // namespace

Picture prepare_picture(const std::string& path, const PictureOptions& options) {
  Picture result;
  try {
    std::vector<uint8_t> file = read_file(path, kMostFileBytes);
    result.hash = std::hash<std::string_view>()(
        std::string_view(reinterpret_cast<const char*>(file.data()), file.size()));
    const ImageInfo info = inspect_image(file);
    result.misnamed = is_misnamed(path, info.kind);
    result.turned = info.orientation != 1;
    DecodeOptions decoding;
    decoding.channels = options.channels;
    decoding.max_pixels = options.max_pixels;
    decoding.upright = !options.as_stored;
    decoding.range_16 = options.range_16;
    Image image = decode_image(file, decoding);
    result.shape = image.shape;
    if (info.bits == 16) result.values_16 = values_of_16_bits(file, options.max_pixels);
    result.statistics.emplace(options.channels);
    if (options.fixed) {
      const Shape& fixed = *options.fixed;
      result.scaled = image.shape.height != fixed.height || image.shape.width != fixed.width;
      image = cover_image(image, fixed.height, fixed.width);
      result.statistics->add(image.pixels);
      result.bytes = std::move(image.pixels);
      return result;
    }
    const int shorter = std::min(image.shape.height, image.shape.width);
    if (options.shorter_side > 0 && shorter > options.shorter_side) {
      image = shorten(image, options.shorter_side);
      result.bytes = encode_jpeg(image, options.quality);
      result.scaled = true;
    } else if (info.bits == 16 && options.range_16) {
      result.bytes = encode_lossless(image);  // of 8 bits and upright, for any reader
    } else {
      result.bytes = std::move(file);
      if (options.as_stored) clear_orientation(result.bytes);
    }
    result.statistics->add(image.pixels);
  } catch (const Error& error) {
    result.failure = error.what();
  }
  return result;
}

std::vector<uint16_t> read_values_16(const std::string& path, int64_t max_pixels) {
  try {
    const std::vector<uint8_t> file = read_file(path, kMostFileBytes);
    if (inspect_image(file).bits != 16) return {};
    return values_of_16_bits(file, max_pixels);
  } catch (const Error&) {
    return {};  // preparing it says why
  }
}

}  // namespace renas::prep
