#include "data/fit.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "renas/error.h"
#ifdef RENAS_WITH_IMAGES
#include "data/exif.h"
#include "data/jpeg.h"
#include "data/orientation.h"
#include "renas/image.h"
#endif

namespace renas {
namespace {

ResampleTaps taps_down(const CropPlan& plan, int height, int crop) {
  return make_resample_taps(ResampleKernel::kTriangle, height, plan.height, plan.top, crop);
}
ResampleTaps taps_across(const CropPlan& plan, int width, int crop) {
  return make_resample_taps(ResampleKernel::kTriangle, width, plan.width, plan.left, crop);
}

}  // namespace

namespace {

/// A random resized crop: height and width are scaled each on its own, so that the part drawn
/// becomes the crop.
CropPlan plan_resized_crop(int height, int width, const Augmentation& options, const Draw& draw) {
  const double area = draw.area * height * width;
  const auto scaled = [&](int length, double part) {
    const double share = std::min(1.0, std::max(1.0, std::round(part)) / length);
    return std::max(options.crop, static_cast<int>(std::lround(options.crop / share)));
  };
  CropPlan plan;
  plan.height = scaled(height, std::sqrt(area / draw.aspect));
  plan.width = scaled(width, std::sqrt(area * draw.aspect));
  plan.top = static_cast<int>(draw.crop[0] * (plan.height - options.crop + 1));
  plan.left = static_cast<int>(draw.crop[1] * (plan.width - options.crop + 1));
  return plan;
}

}  // namespace

CropPlan plan_crop(int height, int width, const Augmentation& options, const Draw& draw) {
  if (draw.area > 0) return plan_resized_crop(height, width, options, draw);
  const int shorter = std::min(height, width);
  const int side = std::max(options.crop, draw.shorter_side > 0 ? draw.shorter_side : shorter);
  const auto scaled = [&](int length) {
    return static_cast<int>((int64_t{length} * side * 2 + shorter) / (int64_t{shorter} * 2));
  };
  CropPlan plan;
  plan.height = scaled(height);
  plan.width = scaled(width);
  if (options.random_crop) {
    plan.top = static_cast<int>(draw.crop[0] * (plan.height - options.crop + 1));
    plan.left = static_cast<int>(draw.crop[1] * (plan.width - options.crop + 1));
  } else {
    plan.top = (plan.height - options.crop) / 2;
    plan.left = (plan.width - options.crop) / 2;
  }
  return plan;
}

#ifdef RENAS_WITH_IMAGES

PixelView ImageFitter::decode(std::span<const uint8_t> bytes, int channels,
                              const Augmentation& options, const Draw& draw, CropPlan& plan,
                              Shape& decoded) {
  DecodeOptions decoding;
  decoding.channels = channels;
  decoding.strict = strict_;
  const bool jpeg = bytes.size() > 2 && bytes[0] == 0xff && bytes[1] == 0xd8;
  if (!jpeg) {
    Image image = decode_image(bytes, decoding);
    decoded = image.shape;
    decoded_ = std::move(image.pixels);
    plan = plan_crop(decoded.height, decoded.width, options, draw);
    return {decoded_.data(), 0, 0, decoded.height, decoded.width, channels};
  }
  JpegDecoder decoder(bytes, decoding);
  const auto tag = find_orientation(bytes);
  const Orientation orientation(tag ? tag->value : 1);
  // `decoded` and `plan` are of the upright image, `stored` and windows that are decoded are not.
  Shape stored = decoder.shape();
  const auto turn_shape = [&] {
    decoded = stored;
    if (orientation.transpose()) std::swap(decoded.height, decoded.width);
  };
  turn_shape();
  plan = plan_crop(decoded.height, decoded.width, options, draw);
  // Halves and quarters are the scales that have fast code in libjpeg-turbo.
  for (const int eighths : {2, 4}) {
    if (int64_t{decoded.height} * eighths >= int64_t{plan.height} * 8 &&
        int64_t{decoded.width} * eighths >= int64_t{plan.width} * 8) {
      decoder.scale(eighths);
      stored = decoder.shape();
      turn_shape();
      break;
    }
  }
  Window window;
  if (decoder.windows()) {
    const ResampleTaps down = taps_down(plan, decoded.height, options.crop);
    const ResampleTaps across = taps_across(plan, decoded.width, options.crop);
    window = orientation.stored(
        {down.first_input(), across.first_input(), down.last_input() - down.first_input(),
         across.last_input() - across.first_input()},
        stored.height, stored.width);
    // Chroma at the sides of a window is interpolated without its neighbours, so the window is two
    // pixels wider.
    const int right = std::min(stored.width, window.left + window.width + 2);
    window.left = std::max(0, window.left - 2);
    window.width = right - window.left;
  }
  window = decoder.decode(window, decoded_);
  const uint8_t* pixels = decoded_.data();
  if (!orientation.upright()) {
    orientation.turn(pixels, window.height, window.width, channels, upright_);
    window = orientation.turned(window, stored.height, stored.width);
    pixels = upright_.data();
  }
  return {pixels, window.top, window.left, window.height, window.width, channels};
}

#else

PixelView ImageFitter::decode(std::span<const uint8_t>, int, const Augmentation&, const Draw&,
                              CropPlan&, Shape&) {
  throw Unsupported(
      "this build cannot decode images (configure with -DRENAS_WITH_IMAGES=ON); data sets of one "
      "size need no decoding");
}

#endif

std::span<const uint8_t> ImageFitter::crop(const PixelView& view, const CropPlan& plan,
                                           const Shape& whole, int side) {
  pixels_.resize(int64_t{side} * side * view.channels);
  resample(view, taps_down(plan, whole.height, side), taps_across(plan, whole.width, side),
           scratch_, pixels_.data());
  return pixels_;
}

std::span<const uint8_t> ImageFitter::fit_encoded(std::span<const uint8_t> file, int channels,
                                                  const Augmentation& options, const Draw& draw) {
  CropPlan plan;
  Shape whole;
  const PixelView view = decode(file, channels, options, draw, plan, whole);
  return crop(view, plan, whole, options.crop);
}

std::span<const uint8_t> ImageFitter::fit_pixels(const Shape& shape,
                                                 std::span<const uint8_t> pixels,
                                                 const Augmentation& options, const Draw& draw) {
  const PixelView view{pixels.data(), 0, 0, shape.height, shape.width, shape.channels};
  return crop(view, plan_crop(shape.height, shape.width, options, draw), shape, options.crop);
}

std::span<const uint8_t> ImageFitter::fit(const DataSet& data, int64_t index,
                                          std::span<const uint8_t> stored,
                                          const Augmentation& options, const Draw& draw) {
  if (options.crop == 0) return stored;
  if (!data.encoded()) return fit_pixels(data.shape(), stored, options, draw);
  try {
    return fit_encoded(stored, data.shape().channels, options, draw);
  } catch (const InvalidInput& error) {
    throw IoError(fmt::format("image {} of the data set: {}", index, error.what()));
  }
}

}  // namespace renas
