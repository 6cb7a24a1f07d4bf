#include "data/resample.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace renas {
namespace {

double radius(Filter filter) { return filter == Filter::kTriangle ? 1.0 : 3.0; }

double sinc(double x) {
  if (x == 0) return 1;
  x *= std::numbers::pi;
  return std::sin(x) / x;
}

double weight(Filter filter, double x) {
  x = std::abs(x);
  if (x >= radius(filter)) return 0;
  return filter == Filter::kTriangle ? 1 - x : sinc(x) * sinc(x / 3);
}

// One row scaled across: out[x * channels + c].
template <int kChannels>
void scale_row(const uint8_t* row, int left, const Taps& taps, float* out) {
  for (int x = 0; x < taps.count; ++x) {
    const int begin = taps.begin[static_cast<std::size_t>(x)];
    const int n = taps.end[static_cast<std::size_t>(x)] - begin;
    const uint8_t* from = row + std::ptrdiff_t{begin - left} * kChannels;
    const float* weights = taps.weights.data() + std::ptrdiff_t{x} * taps.width;
    float sum[kChannels] = {};
    for (int k = 0; k < n; ++k) {
      for (int c = 0; c < kChannels; ++c) {
        sum[c] += weights[k] * static_cast<float>(from[k * kChannels + c]);
      }
    }
    for (int c = 0; c < kChannels; ++c) out[x * kChannels + c] = sum[c];
  }
}

}  // namespace

Taps make_taps(Filter filter, int in, int out, int first, int count) {
  const double scale = static_cast<double>(in) / out;
  const double stretch = std::max(1.0, scale);
  const double reach = radius(filter) * stretch;
  Taps taps;
  taps.count = count;
  taps.width = static_cast<int>(std::ceil(2 * reach)) + 1;
  taps.begin.resize(static_cast<std::size_t>(count));
  taps.end.resize(static_cast<std::size_t>(count));
  taps.weights.resize(static_cast<std::size_t>(count) * static_cast<std::size_t>(taps.width));
  std::vector<double> values;
  for (int i = 0; i < count; ++i) {
    const double centre = (first + i + 0.5) * scale - 0.5;
    int begin = std::max(0, static_cast<int>(std::ceil(centre - reach)));
    int end = std::min(in, static_cast<int>(std::floor(centre + reach)) + 1);
    values.clear();
    for (int k = begin; k < end; ++k) values.push_back(weight(filter, (k - centre) / stretch));
    // Zeros at the ends would only ask for pixels that do not matter.
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
    const auto at = static_cast<std::size_t>(i);
    taps.begin[at] = begin;
    taps.end[at] = end;
    float* weights = taps.weights.data() + std::ptrdiff_t{i} * taps.width;
    for (const double value : values) *weights++ = static_cast<float>(value / sum);
  }
  return taps;
}

void resample(const PixelView& view, const Taps& down, const Taps& across,
              std::vector<float>& scratch, uint8_t* out) {
  // Each input row is scaled across once and kept while an output row may still need it.
  const auto row_values =
      static_cast<std::size_t>(across.count) * static_cast<std::size_t>(view.channels);
  const auto kept = static_cast<std::size_t>(down.width);
  scratch.resize((kept + 1) * row_values);
  float* const sum = scratch.data() + kept * row_values;
  int ready = down.first_input();  // rows before it are scaled
  for (int y = 0; y < down.count; ++y) {
    const int begin = down.begin[static_cast<std::size_t>(y)];
    const int end = down.end[static_cast<std::size_t>(y)];
    ready = std::max(ready, begin);
    for (; ready < end; ++ready) {
      const uint8_t* row =
          view.pixels + std::ptrdiff_t{ready - view.top} * view.width * view.channels;
      float* to = scratch.data() + static_cast<std::size_t>(ready) % kept * row_values;
      if (view.channels == 3) {
        scale_row<3>(row, view.left, across, to);
      } else if (view.channels == 1) {
        scale_row<1>(row, view.left, across, to);
      } else {
        for (int x = 0; x < across.count; ++x) {
          for (int c = 0; c < view.channels; ++c) {
            float total = 0;
            for (int k = across.begin[static_cast<std::size_t>(x)];
                 k < across.end[static_cast<std::size_t>(x)]; ++k) {
              total += across.weights[static_cast<std::size_t>(
                           x * across.width + k - across.begin[static_cast<std::size_t>(x)])] *
                       static_cast<float>(row[(k - view.left) * view.channels + c]);
            }
            to[x * view.channels + c] = total;
          }
        }
      }
    }
    const float* weights = down.weights.data() + std::ptrdiff_t{y} * down.width;
    std::fill(sum, sum + row_values, 0.5F);  // rounds
    for (int k = begin; k < end; ++k) {
      const float* from = scratch.data() + static_cast<std::size_t>(k) % kept * row_values;
      const float w = weights[k - begin];
      for (std::size_t i = 0; i < row_values; ++i) sum[i] += w * from[i];
    }
    for (std::size_t i = 0; i < row_values; ++i) {
      const float value = std::min(std::max(sum[i], 0.0F), 255.0F);
      out[i] = static_cast<uint8_t>(static_cast<int>(value));
    }
    out += row_values;
  }
}

}  // namespace renas
