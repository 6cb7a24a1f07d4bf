#include "data/resample.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

namespace renas {
namespace {

double radius(ResampleKernel kernel) { return kernel == ResampleKernel::kTriangle ? 1.0 : 3.0; }

double sinc(double x) {
  if (x == 0) return 1;
  x *= std::numbers::pi;
  return std::sin(x) / x;
}

double weight(ResampleKernel kernel, double x) {
  x = std::abs(x);
  if (x >= radius(kernel)) return 0;
  return kernel == ResampleKernel::kTriangle ? 1 - x : sinc(x) * sinc(x / 3);
}

// A vector of four lanes, with which one instruction works on all channels of a pixel.
using Lanes = float __attribute__((vector_size(16)));

Lanes load(const float* from) {
  Lanes lanes;
  std::memcpy(&lanes, from, sizeof lanes);
  return lanes;
}

// Loads at the last pixel of a row may touch so many values behind it.
constexpr std::size_t kSlack = 4;

// Computes sum[i] = the weighted sum of `rows[k][i]` over k, three rows per pass over memory.
void scale_down(const uint8_t* first, std::ptrdiff_t stride, const float* weights, int rows,
                std::size_t values, float* sum) {
  for (int k = 0; k < rows; k += 3) {
    const uint8_t* r0 = first + k * stride;
    const uint8_t* r1 = k + 1 < rows ? r0 + stride : r0;
    const uint8_t* r2 = k + 2 < rows ? r0 + 2 * stride : r0;
    const float w0 = weights[k];
    const float w1 = k + 1 < rows ? weights[k + 1] : 0.0F;
    const float w2 = k + 2 < rows ? weights[k + 2] : 0.0F;
    if (k == 0) {
      for (std::size_t i = 0; i < values; ++i) {
        sum[i] = w0 * static_cast<float>(r0[i]) + w1 * static_cast<float>(r1[i]) +
                 w2 * static_cast<float>(r2[i]);
      }
    } else {
      for (std::size_t i = 0; i < values; ++i) {
        sum[i] += w0 * static_cast<float>(r0[i]) + w1 * static_cast<float>(r1[i]) +
                  w2 * static_cast<float>(r2[i]);
      }
    }
  }
}

// Scales one row across; kChannels is at most 4. Writes kSlack values too many.
template <std::ptrdiff_t kChannels>
void scale_across(const float* row, int left, const ResampleTaps& taps, float* out) {
  for (int x = 0; x < taps.count; ++x) {
    const int begin = taps.begin[x];
    const int n = taps.end[x] - begin;
    const float* from = row + std::ptrdiff_t{begin - left} * kChannels;
    const float* weights = taps.weights.data() + std::ptrdiff_t{x} * taps.width;
    Lanes sum = load(from) * weights[0];
    for (int k = 1; k < n; ++k) sum += load(from + k * kChannels) * weights[k];
    std::memcpy(out + x * kChannels, &sum, sizeof sum);
  }
}

void scale_across(const float* row, int left, int channels, const ResampleTaps& taps, float* out) {
  for (int x = 0; x < taps.count; ++x) {
    const int begin = taps.begin[x];
    const int n = taps.end[x] - begin;
    for (int c = 0; c < channels; ++c) {
      float sum = 0;
      for (int k = 0; k < n; ++k) {
        sum += taps.weights[x * taps.width + k] * row[(begin - left + k) * channels + c];
      }
      *out++ = sum;
    }
  }
}

}  // namespace

ResampleTaps make_resample_taps(ResampleKernel kernel, int in, int out, int first, int count) {
  const double scale = static_cast<double>(in) / out;
  const double stretch = std::max(1.0, scale);
  const double reach = radius(kernel) * stretch;
  ResampleTaps taps;
  taps.count = count;
  taps.width = static_cast<int>(std::ceil(2 * reach)) + 1;
  taps.begin.resize(count);
  taps.end.resize(count);
  taps.weights.resize(static_cast<std::size_t>(count) * taps.width);
  std::vector<double> values;
  for (int i = 0; i < count; ++i) {
    const double centre = (first + i + 0.5) * scale - 0.5;
    int begin = std::max(0, static_cast<int>(std::ceil(centre - reach)));
    int end = std::min(in, static_cast<int>(std::floor(centre + reach)) + 1);
    values.clear();
    for (int k = begin; k < end; ++k) values.push_back(weight(kernel, (k - centre) / stretch));
    // Zero weights at the ends are dropped, so that pixels without influence need not be decoded.
    while (end - begin > 1 && values.back() == 0) {
      values.pop_back();
      --end;
    }
    while (end - begin > 1 && values.front() == 0) {
      values.erase(values.begin());
      ++begin;
    }
    double sum = 0;
    for (const double value : values) sum += value;
    taps.begin[i] = begin;
    taps.end[i] = end;
    float* weights = taps.weights.data() + std::ptrdiff_t{i} * taps.width;
    for (const double value : values) *weights++ = static_cast<float>(value / sum);
  }
  return taps;
}

void resample(const PixelView& view, const ResampleTaps& down, const ResampleTaps& across,
              std::vector<float>& scratch, uint8_t* out) {
  const std::ptrdiff_t stride = std::ptrdiff_t{view.width} * view.channels;
  const std::ptrdiff_t values = std::ptrdiff_t{across.count} * view.channels;
  scratch.assign(static_cast<std::size_t>(stride + values) + 2 * kSlack, 0.0F);
  float* const scaled_down = scratch.data();
  float* const scaled = scaled_down + stride + kSlack;
  for (int y = 0; y < down.count; ++y) {
    const int begin = down.begin[y];
    scale_down(view.pixels + (begin - view.top) * stride, stride,
               down.weights.data() + std::ptrdiff_t{y} * down.width, down.end[y] - begin, stride,
               scaled_down);
    if (view.channels == 3) {
      scale_across<3>(scaled_down, view.left, across, scaled);
    } else if (view.channels == 1) {
      scale_across<1>(scaled_down, view.left, across, scaled);
    } else {
      scale_across(scaled_down, view.left, view.channels, across, scaled);
    }
    // The Lanczos kernel overshoots, so values are clamped. They are converted to integers first,
    // because compilers turn the clamping of integers into few instructions.
    for (std::ptrdiff_t i = 0; i < values; ++i) {
      const int value = static_cast<int>(scaled[i] + 0.5F);
      out[i] = static_cast<uint8_t>(std::min(std::max(value, 0), 255));
    }
    out += values;
  }
}

}  // namespace renas
