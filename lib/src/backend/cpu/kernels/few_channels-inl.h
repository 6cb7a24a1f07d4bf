// The matrix rows of inputs of few channels, such as images. Per-target toggle, see vector-inl.h.
#if defined(RENAS_FEW_CHANNELS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef RENAS_FEW_CHANNELS_INL_H_
#undef RENAS_FEW_CHANNELS_INL_H_
#else
#define RENAS_FEW_CHANNELS_INL_H_
#endif

#include "backend/cpu/kernels/conv_plan.h"
#include "backend/cpu/kernels/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace renas::cpu {
namespace HWY_NAMESPACE {

/// Packs the matrix rows of a term of few channels, one dense row an output pixel. A whole vector
/// is stored for each window position; the next position overwrites what exceeds its channels. The
/// tile therefore needs room for one vector more than its rows.
HWY_INLINE void pack_few_channels(const TermArgs& t, const Map& out, std::size_t p0, int pixels,
                                  float* tile) {
  const WindowArgs& w = t.window;
  const float* data = t.in.data.as<float>();
  const std::size_t channels = t.in.map.channels;
  const int reach_y = w.dilation * (w.height - 1);
  const int reach_x = w.dilation * (w.width - 1);
  PixelCursor cursor(out, p0);
  for (int m = 0; m < pixels; ++m, cursor.next(out), tile += t.depth) {
    const int y = cursor.y * w.stride_height - w.top;
    const int x = cursor.x * w.stride_width - w.left;
    float* to = tile;
    if (y >= 0 && x >= 0 && y + reach_y < t.in.map.height && x + reach_x < t.in.map.width) {
      const float* from =
          data + (cursor.n * t.in.map.pixels() + (y * t.in.map.width + x)) * channels;
      const std::size_t step = w.dilation * channels;
      for (int r = 0; r < w.height; ++r) {
        const float* p = from + r * w.dilation * t.in.map.width * channels;
        for (int s = 0; s < w.width; ++s, p += step, to += t.k_channels) {
          for (int lane = 0; lane < kBlock; lane += kLanes) store(load(p + lane), to + lane);
        }
      }
      continue;
    }
    for (int r = 0; r < w.height; ++r) {
      for (int s = 0; s < w.width; ++s, to += t.k_channels) {
        const std::ptrdiff_t at = tap_offset(t, cursor, r, s);
        for (int lane = 0; lane < kBlock; lane += kLanes) {
          store(at < 0 ? zero() : load(data + at + lane), to + lane);
        }
      }
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace renas::cpu
HWY_AFTER_NAMESPACE();

#endif  // RENAS_FEW_CHANNELS_INL_H_
