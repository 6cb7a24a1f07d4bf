#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace renas {

enum class ResampleKernel {
  kTriangle,  ///< bilinear
  kLanczos3,
};

/// How one axis is scaled from `in` pixels to `out`, for the outputs first .. first + count - 1.
///
/// Half-pixel centres: output o lies at (o + 0.5) in / out - 0.5. Scaling down widens the filter by
/// in / out, so that nothing is left out (no aliasing). Weights beyond the image's edge are
/// dropped and the rest normalised.
struct ResampleTaps {
  int count = 0;               ///< outputs
  int width = 0;               ///< weights of an output; unused ones are 0
  std::vector<int> begin;      ///< by output: the first input pixel
  std::vector<int> end;        ///< by output: one past the last input pixel of weight other than 0
  std::vector<float> weights;  ///< [count, width]
  int first_input() const { return begin.front(); }
  int last_input() const { return end.back(); }  ///< one past
};
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

/// Scales, rounds and clamps to 8 bits. `view` must contain every input of both taps.
/// out  [down.count, across.count, channels]
/// scratch  kept by the caller between calls
void resample(const PixelView& view, const ResampleTaps& down, const ResampleTaps& across,
              std::vector<float>& scratch, uint8_t* out);

}  // namespace renas
