#include "renas/image.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "data/exif.h"
#include "data/jpeg.h"
#include "data/orientation.h"
#include "data/png.h"
#include "data/resample.h"
#include "renas/error.h"

namespace renas {
namespace {

ImageKind kind_of(std::span<const uint8_t> bytes) {
  static constexpr uint8_t kPng[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  if (bytes.size() >= 3 && bytes[0] == 0xff && bytes[1] == 0xd8 && bytes[2] == 0xff) {
    return ImageKind::kJpeg;
  }
  if (bytes.size() >= sizeof kPng && std::memcmp(bytes.data(), kPng, sizeof kPng) == 0) {
    return ImageKind::kPng;
  }
  if (bytes.empty()) throw InvalidInput("an empty file");
  std::string start;
  for (std::size_t i = 0; i < std::min<std::size_t>(bytes.size(), 4); ++i) {
    start += fmt::format(" {:02x}", bytes[i]);
  }
  throw InvalidInput(fmt::format("neither JPEG nor PNG (it begins{})", start));
}

Image with_channels(Image image, int channels) {
  if (channels == 0 || image.shape.channels == channels) return image;
  Image result;
  result.shape = {channels, image.shape.height, image.shape.width};
  result.pixels.resize(result.shape.size());
  const std::size_t count = image.pixels.size() / image.shape.channels;
  for (std::size_t i = 0; i < count; ++i) {
    if (channels == 3) {
      std::fill_n(&result.pixels[i * 3], 3, image.pixels[i]);
    } else {
      const uint8_t* p = &image.pixels[i * 3];
      result.pixels[i] = static_cast<uint8_t>((299 * p[0] + 587 * p[1] + 114 * p[2] + 500) / 1000);
    }
  }
  return result;
}

int orientation_of(std::span<const uint8_t> bytes) {
  const auto tag = find_orientation(bytes);
  return tag ? tag->value : 1;
}

/// Turns a decoded image as the EXIF orientation of its file says.
Image upright(Image image, std::span<const uint8_t> bytes) {
  const Orientation orientation(orientation_of(bytes));
  if (orientation.upright()) return image;
  Image result;
  result.shape = image.shape;
  if (orientation.transpose()) std::swap(result.shape.height, result.shape.width);
  orientation.turn(image.pixels.data(), image.shape.height, image.shape.width, image.shape.channels,
                   result.pixels);
  return result;
}

void check_channels(int channels) {
  if (channels != 0 && channels != 1 && channels != 3) {
    throw InvalidInput(fmt::format("images are decoded to 1 or 3 channels, not {}", channels));
  }
}

}  // namespace

ImageInfo inspect_image(std::span<const uint8_t> bytes) {
  const ImageKind kind = kind_of(bytes);
  ImageInfo info{kind, {}, orientation_of(bytes), 8};
  if (kind == ImageKind::kPng) {
    info.shape = inspect_png(bytes);
    info.bits = png_bits(bytes);
  } else {
    DecodeOptions options;
    options.max_pixels = INT64_MAX;
    info.shape = JpegDecoder(bytes, options).shape();
  }
  if (Orientation(info.orientation).transpose()) std::swap(info.shape.height, info.shape.width);
  return info;
}

Image decode_image(std::span<const uint8_t> bytes, const DecodeOptions& options) {
  check_channels(options.channels);
  Image image;
  if (kind_of(bytes) == ImageKind::kPng) {
    image = with_channels(decode_png(bytes, options), options.channels);
  } else {
    JpegDecoder decoder(bytes, options);
    image.shape = decoder.shape();
    decoder.decode({}, image.pixels);
  }
  return options.upright ? upright(std::move(image), bytes) : image;
}

Image decode_index_map(std::span<const uint8_t> bytes, int64_t max_pixels) {
  if (kind_of(bytes) != ImageKind::kPng) {
    throw InvalidInput("JPEG: a mask is a PNG file, since JPEG does not keep its values");
  }
  return png_index_map(bytes, max_pixels);
}

std::vector<uint16_t> values_of_16_bits(std::span<const uint8_t> bytes, int64_t max_pixels) {
  if (kind_of(bytes) != ImageKind::kPng) return {};
  return png_values_of_16_bits(bytes, max_pixels);
}

Image resize_image(const Image& image, int height, int width) {
  if (image.shape.size() < 1 || height < 1 || width < 1) {
    throw InvalidInput(
        fmt::format("cannot resize {} to {}x{}", to_string(image.shape), height, width));
  }
  Image result;
  result.shape = {image.shape.channels, height, width};
  result.pixels.resize(result.shape.size());
  std::vector<float> scratch;
  resample({image.pixels.data(), 0, 0, image.shape.height, image.shape.width, image.shape.channels},
           make_resample_taps(ResampleKernel::kLanczos3, image.shape.height, height, 0, height),
           make_resample_taps(ResampleKernel::kLanczos3, image.shape.width, width, 0, width),
           scratch, result.pixels.data());
  return result;
}

Image cover_image(const Image& image, int height, int width) {
  if (image.shape.height == height && image.shape.width == width) return image;
  const double scale = std::max(static_cast<double>(height) / image.shape.height,
                                static_cast<double>(width) / image.shape.width);
  const auto scaled = [scale](int length, int least) {
    return std::max(least, static_cast<int>(std::floor(length * scale + 0.5)));
  };
  const Image whole =
      resize_image(image, scaled(image.shape.height, height), scaled(image.shape.width, width));
  return crop_image(whole, (whole.shape.height - height) / 2, (whole.shape.width - width) / 2,
                    height, width);
}

Image crop_image(const Image& image, int top, int left, int height, int width) {
  if (top < 0 || left < 0 || height < 1 || width < 1 || top > image.shape.height - height ||
      left > image.shape.width - width) {
    throw InvalidInput(fmt::format("a crop of {}x{} at ({}, {}) is not within {}", height, width,
                                   top, left, to_string(image.shape)));
  }
  const int channels = image.shape.channels;
  Image result;
  result.shape = {channels, height, width};
  result.pixels.resize(result.shape.size());
  const auto row = static_cast<std::size_t>(width) * channels;
  for (int y = 0; y < height; ++y) {
    const std::size_t from =
        (static_cast<std::size_t>(top + y) * image.shape.width + left) * channels;
    std::memcpy(&result.pixels[y * row], &image.pixels[from], row);
  }
  return result;
}

}  // namespace renas
