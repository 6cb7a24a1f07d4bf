#include "data/pairs.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "data/resample.h"
#include "renas/error.h"
#include "renas/image.h"

namespace renas {
namespace {

constexpr double kScaleStep = 0.25;
constexpr int32_t kNoLabel = -1;  // kIgnored of renas/backend.h

/// One axis of a crop: of an image scaled to `size` pixels, those from `first` on; `count` of them
/// lie within the result, at its beginning.
struct Extent {
  int size = 0;
  int first = 0;
  int count = 0;

  Extent(int length, double scale, double place, int wanted) {
    size = std::max(1, static_cast<int>(std::lround(length * scale)));
    if (size > wanted) first = static_cast<int>(place * (size - wanted + 1));
    count = std::min(size, wanted);
  }
};

#ifdef RENAS_WITH_IMAGES
/// The stored pixel nearest to pixel `at` of an axis scaled from `length` to `size` pixels.
int nearest(int at, int length, int size) {
  return std::min(length - 1, static_cast<int>((at + 0.5) * length / size));
}

/// Writes the labels of a crop. Throws IoError where the mask has a value that is no class.
void write_labels(const Image& mask, const Extent& down, const Extent& across, int classes,
                  bool flip, int height, int width, int32_t* labels) {
  std::fill_n(labels, std::ptrdiff_t{height} * width, kNoLabel);
  for (int y = 0; y < down.count; ++y) {
    const uint8_t* row =
        mask.pixels.data() +
        std::ptrdiff_t{nearest(down.first + y, mask.shape.height, down.size)} * mask.shape.width;
    int32_t* to = labels + std::ptrdiff_t{y} * width;
    for (int x = 0; x < across.count; ++x) {
      const int value = row[nearest(across.first + x, mask.shape.width, across.size)];
      if (value == kVoid) continue;
      if (value >= classes) {
        throw IoError(fmt::format("value {} is none of the classes 0 to {}, and not {} (void)",
                                  value, classes - 1, kVoid));
      }
      to[flip ? width - 1 - x : x] = value;
    }
  }
}
#endif

}  // namespace

PairDraw draw_pair(const PairAugmentation& options, Random random) {
  PairDraw draw;
  if (options.random) {
    const auto steps =
        static_cast<int>((options.most_scale - options.least_scale) / kScaleStep + 1e-9);
    draw.scale = options.least_scale +
                 kScaleStep * static_cast<double>(random.below(static_cast<uint64_t>(steps) + 1));
    draw.top = random.uniform();
    draw.left = random.uniform();
  }
  if (options.flip) draw.flip = random.below(2) == 1;
  return draw;
}

#ifdef RENAS_WITH_IMAGES

void PairFitter::fit(const DataSet& data, int64_t index, const PairAugmentation& options,
                     const PairDraw& draw, float* out, int32_t* labels) {
  const int channels = data.shape().channels;
  Image image;
  Image mask;
  try {
    DecodeOptions decoding;
    decoding.channels = channels;
    decoding.strict = false;  // who prepared the set decided what is good enough
    image = decode_image(data.image(index, bytes_), decoding);
    mask = decode_index_map(data.mask(index, bytes_));
  } catch (const InvalidInput& error) {
    throw IoError(fmt::format("image {} of the data set and its mask: {}", index, error.what()));
  }
  const Shape& size = image.shape;
  if (mask.shape.height != size.height || mask.shape.width != size.width) {
    throw IoError(fmt::format("image {} of the data set is {}x{}, its mask {}x{}; prepare it again",
                              index, size.height, size.width, mask.shape.height, mask.shape.width));
  }
  if (!options.random && (size.height > options.height || size.width > options.width)) {
    throw InvalidInput(
        fmt::format("image {} of the data set is {}x{}, larger than the {}x{} that whole images "
                    "are padded to",
                    index, size.height, size.width, options.height, options.width));
  }
  const Extent down(size.height, draw.scale, draw.top, options.height);
  const Extent across(size.width, draw.scale, draw.left, options.width);
  scaled_.resize(static_cast<std::size_t>(down.count) * across.count * channels);
  resample(
      {image.pixels.data(), 0, 0, size.height, size.width, channels},
      make_resample_taps(ResampleKernel::kTriangle, size.height, down.size, down.first, down.count),
      make_resample_taps(ResampleKernel::kTriangle, size.width, across.size, across.first,
                         across.count),
      scratch_, scaled_.data());
  // The mean becomes 0.
  std::fill_n(out, int64_t{options.height} * options.width * channels, 0.0F);
  for (int y = 0; y < down.count; ++y) {
    for (int x = 0; x < across.count; ++x) {
      const int to_x = draw.flip ? options.width - 1 - x : x;
      const uint8_t* from =
          scaled_.data() + (static_cast<std::size_t>(y) * across.count + x) * channels;
      float* to = out + (std::ptrdiff_t{y} * options.width + to_x) * channels;
      for (int c = 0; c < channels; ++c) {
        const auto k = static_cast<std::size_t>(c);
        to[c] = static_cast<float>((from[c] / 255.0 - data.info().mean[k]) / data.info().sd[k]);
      }
    }
  }
  try {
    write_labels(mask, down, across, data.classes(), draw.flip, options.height, options.width,
                 labels);
  } catch (const IoError& error) {
    throw IoError(fmt::format("the mask of image {} of the data set: {}", index, error.what()));
  }
}

#else

void PairFitter::fit(const DataSet&, int64_t, const PairAugmentation&, const PairDraw&, float*,
                     int32_t*) {
  throw Unsupported(
      "this build cannot decode images and masks (configure with -DRENAS_WITH_IMAGES=ON)");
}

#endif

}  // namespace renas
