#include "data/augment.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace renas {
namespace {

// Principal components of the RGB values of ImageNet's training images, scaled to [0, 1], and
// their eigenvalues: the figures of Facebook's fb.resnet.torch for the noise of Krizhevsky et al.,
// "ImageNet classification with deep convolutional neural networks" (2012).
constexpr std::array<double, 3> kEigenvalues{0.2175, 0.0188, 0.0045};
constexpr double kEigenvectors[3][3] = {
    {-0.5675, 0.7192, 0.4009}, {-0.5808, -0.0045, -0.8140}, {-0.5836, -0.6948, 0.4203}};

// Whether pixels change by more than a factor and a summand.
bool changes_colour(const Draw& draw) {
  return draw.brightness != 1 || draw.contrast != 1 || draw.saturation != 1;
}

// What lighting adds to each channel.
std::array<double, 3> light(const Draw& draw) {
  std::array<double, 3> shift{};
  for (std::size_t c = 0; c < 3; ++c) {
    for (std::size_t k = 0; k < 3; ++k) {
      shift[c] += kEigenvectors[c][k] * draw.lighting[k] * kEigenvalues[k];
    }
  }
  return shift;
}

float luma(const float* pixel) { return 0.299F * pixel[0] + 0.587F * pixel[1] + 0.114F * pixel[2]; }

float clamp01(float value) { return std::clamp(value, 0.0F, 1.0F); }

// Brightness, contrast, saturation, each clamped. `values` [pixels, channels] in [0, 1].
void change_colour(const Draw& draw, int channels, std::vector<float>& values) {
  const auto step = static_cast<std::size_t>(channels);
  if (draw.brightness != 1) {
    for (float& value : values) value = clamp01(value * static_cast<float>(draw.brightness));
  }
  if (draw.contrast != 1) {
    double sum = 0;
    for (std::size_t i = 0; i < values.size(); i += step) {
      sum += channels == 3 ? luma(&values[i]) : values[i];
    }
    const auto mean = static_cast<float>(sum * channels / static_cast<double>(values.size()));
    const auto factor = static_cast<float>(draw.contrast);
    for (float& value : values) value = clamp01(mean + factor * (value - mean));
  }
  if (channels != 3) return;
  if (draw.saturation != 1) {
    const auto factor = static_cast<float>(draw.saturation);
    for (std::size_t i = 0; i < values.size(); i += 3) {
      const float grey = luma(&values[i]);
      for (std::size_t c = 0; c < 3; ++c) {
        values[i + c] = clamp01(grey + factor * (values[i + c] - grey));
      }
    }
  }
}

/// value = scale * pixel + offset, for each value of a row [width, channels]: one long loop over a
/// row is faster than a short one over the channels of each pixel.
struct Affine {
  std::vector<float> scale;
  std::vector<float> offset;
};

/// Mirrors a row [width, channels].
void mirror(float* row, int width, int channels) {
  float* left = row;
  float* right = row + std::ptrdiff_t{width - 1} * channels;
  for (; left < right; left += channels, right -= channels) {
    std::swap_ranges(left, left + channels, right);
  }
}

/// Writes a row of the result: `count` pixels of `in` from column `x0` on, zeros around them,
/// mirrored where the draw says so.
template <class T>
void place_row(const Draw& draw, const Shape& shape, const Affine& affine, const T* in, int x0,
               int count, float* row) {
  const std::ptrdiff_t first = std::ptrdiff_t{x0} * shape.channels;
  const std::ptrdiff_t size = std::ptrdiff_t{count} * shape.channels;
  std::fill(row, row + first, 0.0F);
  std::fill(row + first + size, row + std::ptrdiff_t{shape.width} * shape.channels, 0.0F);
  const float* scale = affine.scale.data();
  const float* offset = affine.offset.data();
  float* to = row + first;
  for (std::ptrdiff_t i = 0; i < size; ++i) {
    to[i] = scale[i] * static_cast<float>(in[i]) + offset[i];
  }
  if (draw.flip) mirror(row, shape.width, shape.channels);
}

/// Normalises, shifts and mirrors `in` [height, width, channels] into `out`, of the same layout.
template <class T>
void place(const Draw& draw, const Shape& shape, const Affine& affine, const T* in, float* out) {
  const int x0 = std::clamp(-draw.shift_x, 0, shape.width);
  const int x1 = std::clamp(shape.width - draw.shift_x, 0, shape.width);
  const std::ptrdiff_t row_size = std::ptrdiff_t{shape.width} * shape.channels;
  for (int y = 0; y < shape.height; ++y, out += row_size) {
    const int from_y = y + draw.shift_y;
    if (from_y < 0 || from_y >= shape.height || x0 >= x1) {
      std::fill(out, out + row_size, 0.0F);
      continue;
    }
    const T* from = in + from_y * row_size + std::ptrdiff_t{x0 + draw.shift_x} * shape.channels;
    place_row(draw, shape, affine, from, x0, x1 - x0, out);
  }
}

/// Sets a square to zero. It is cut off at the edges (DeVries and Taylor 2017, the paper's
/// reference 8).
void cut_out(const Draw& draw, int side, const Shape& shape, float* out) {
  const int y0 = std::max(0, draw.cutout_y - side / 2);
  const int y1 = std::min(shape.height, draw.cutout_y - side / 2 + side);
  const int x0 = std::max(0, draw.cutout_x - side / 2);
  const int x1 = std::min(shape.width, draw.cutout_x - side / 2 + side);
  for (int y = y0; y < y1; ++y) {
    float* row = out + std::ptrdiff_t{y} * shape.width * shape.channels;
    std::fill(row + std::ptrdiff_t{x0} * shape.channels, row + std::ptrdiff_t{x1} * shape.channels,
              0.0F);
  }
}

}  // namespace

Augmentation Augmentation::none() { return {}; }

Augmentation Augmentation::search() {
  Augmentation options;
  options.pad = 4;
  options.flip = true;
  return options;
}

Augmentation Augmentation::cifar_final() {
  Augmentation options = search();
  options.cutout = 16;
  return options;
}

Augmentation Augmentation::imagenet() {
  Augmentation options = imagenet_last();
  options.shorter_side_max = 480;
  options.lighting = 0.1;
  return options;
}

Augmentation Augmentation::imagenet_last() {
  Augmentation options = imagenet_center();
  options.random_crop = true;
  options.flip = true;
  return options;
}

Augmentation Augmentation::crop_and_flip() const {
  Augmentation options = evaluation();
  options.random_crop = random_crop;
  options.pad = pad;
  options.flip = flip;
  return options;
}

Augmentation Augmentation::evaluation() const {
  Augmentation options;
  options.crop = crop;
  options.shorter_side = shorter_side;
  options.normalize = normalize;
  return options;
}

Augmentation Augmentation::imagenet_center() {
  Augmentation options;
  options.crop = 224;
  options.shorter_side = 256;
  return options;
}

Random augmentation_stream(uint64_t seed, uint64_t epoch, int64_t image) {
  // 2^36 images and 2^20 epochs fit into the 56 bits of a stream's number.
  return Random(seed, Purpose::kAugment, (epoch << 36) | static_cast<uint64_t>(image));
}

Draw draw_augmentation(const Augmentation& options, const Shape& shape, Random random) {
  const auto below = [&random](int n) {
    return static_cast<int>(random.below(static_cast<uint64_t>(n)));
  };
  Draw draw;
  draw.shorter_side = options.shorter_side;
  if (options.shorter_side_max > options.shorter_side) {
    draw.shorter_side += below(options.shorter_side_max - options.shorter_side + 1);
  }
  if (options.random_crop) draw.crop = {random.uniform(), random.uniform()};
  if (options.least_area > 0) {
    draw.area = random.uniform(options.least_area, 1);
    const double widest = std::log(4.0 / 3.0);
    draw.aspect = std::exp(random.uniform(-widest, widest));
  }
  const auto factor = [&random](double spread) {
    return spread > 0 ? random.uniform(std::max(0.0, 1 - spread), 1 + spread) : 1.0;
  };
  draw.brightness = factor(options.brightness);
  draw.contrast = factor(options.contrast);
  draw.saturation = factor(options.saturation);
  if (options.lighting > 0) {
    for (double& value : draw.lighting) value = options.lighting * random.normal();
  }
  if (options.pad > 0) {
    draw.shift_y = below(2 * options.pad + 1) - options.pad;
    draw.shift_x = below(2 * options.pad + 1) - options.pad;
  }
  if (options.flip) draw.flip = below(2) == 1;
  if (options.cutout > 0) {
    draw.cutout_y = below(shape.height);
    draw.cutout_x = below(shape.width);
  }
  return draw;
}

void finish_image(const Augmentation& options, const Draw& draw, const Shape& shape,
                  const DataSetInfo& info, std::span<const uint8_t> pixels, float* out) {
  const bool colour = changes_colour(draw);
  const std::array<double, 3> shift = light(draw);
  const auto channels = static_cast<std::size_t>(shape.channels);
  Affine affine;
  affine.scale.resize(channels * static_cast<std::size_t>(shape.width));
  affine.offset.resize(affine.scale.size());
  for (std::size_t c = 0; c < channels; ++c) {
    const double mean = options.normalize ? info.mean[c] : 0.0;
    const double sd = options.normalize ? info.sd[c] : 1.0;
    // AlexNet adds lighting to the values as they are, without clamping.
    const double lighting = channels == 3 ? shift[c] : 0.0;
    affine.scale[c] = static_cast<float>(colour ? 1.0 / sd : 1.0 / (255.0 * sd));
    affine.offset[c] = static_cast<float>((lighting - mean) / sd);
  }
  for (std::size_t i = channels; i < affine.scale.size(); ++i) {
    affine.scale[i] = affine.scale[i - channels];
    affine.offset[i] = affine.offset[i - channels];
  }
  if (colour) {
    std::vector<float> values(pixels.size());
    std::transform(pixels.begin(), pixels.end(), values.begin(),
                   [](uint8_t value) { return static_cast<float>(value) / 255.0F; });
    change_colour(draw, shape.channels, values);
    place(draw, shape, affine, values.data(), out);
  } else {
    place(draw, shape, affine, pixels.data(), out);
  }
  if (options.cutout > 0) cut_out(draw, options.cutout, shape, out);
}

}  // namespace renas
