#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace renas {

/// The interpolation kernel by which an image is scaled.
enum class ResampleKernel {
  kTriangle,  ///< bilinear
  kLanczos3,
};

/// The weights that scale one axis of an image: each output pixel is a weighted sum of some input
/// pixels.
struct ResampleTaps {
  int count = 0;               ///< number of outputs
  int width = 0;               ///< number of weights of an output; unused ones are 0
  std::vector<int> begin;      ///< by output: the first input pixel
  std::vector<int> end;        ///< by output: one past the last input pixel of weight other than 0
  std::vector<float> weights;  ///< [count, width]
  int first_input() const { return begin.front(); }
  int last_input() const { return end.back(); }  ///< one past the last
};
/// Computes the weights that scale an axis from `in` pixels to `out`, for the outputs first ..
/// first + count - 1.
///
/// Pixel centres lie at half pixels: output o lies at (o + 0.5) in / out - 0.5 of the input.
/// Scaling down widens the kernel by in / out against aliasing. Weights beyond the image's edge are
/// dropped and the rest normalised to a sum of 1.
ResampleTaps make_resample_taps(ResampleKernel kernel, int in, int out, int first, int count);

/// A rectangle of an image in memory, [height, width, channels]; its first pixel is pixel (top,
/// left) of the image.
struct PixelView {
  const uint8_t* pixels = nullptr;
  int top = 0;
  int left = 0;
  int height = 0;
  int width = 0;
  int channels = 0;
};

/// Scales an image by `down` and `across`, and rounds and clamps the result to 8 bits.
///
/// view     contains every input pixel of both
/// out      [down.count, across.count, channels]
/// scratch  a buffer, which the caller may keep between calls
void resample(const PixelView& view, const ResampleTaps& down, const ResampleTaps& across,
              std::vector<float>& scratch, uint8_t* out);

}  // namespace renas
