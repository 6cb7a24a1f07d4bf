// Matrix rows of pictures of few channels. Per-target toggle, see vector-inl.h.
#if defined(RENAS_NARROW_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef RENAS_NARROW_INL_H_
#undef RENAS_NARROW_INL_H_
#else
#define RENAS_NARROW_INL_H_
#endif

#include "backend/cpu/kernels/conv_plan.h"
#include "backend/cpu/kernels/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace renas::cpu {
namespace HWY_NAMESPACE {

/// Rows of a `narrow` term, dense: a vector a window position, each overwriting the zeros that the
/// one before left beyond its channels. The tile has room for one vector more.
HWY_INLINE void pack_narrow(const TermArgs& t, const Map& out, std::size_t p0, int pixels,
                            float* tile) {
  const WindowArgs& w = t.window;
  const float* data = t.in.data.as<float>();
  const auto channels = static_cast<std::size_t>(t.in.map.channels);
  const int reach_y = w.dilation * (w.height - 1);
  const int reach_x = w.dilation * (w.width - 1);
  Place place(out, p0);
  for (int m = 0; m < pixels; ++m, place.next(out), tile += t.depth) {
    const int y = place.y * w.stride - w.top;
    const int x = place.x * w.stride - w.left;
    float* to = tile;
    if (y >= 0 && x >= 0 && y + reach_y < t.in.map.height && x + reach_x < t.in.map.width) {
      const float* from =
          data + (place.n * t.in.map.pixels() + static_cast<std::size_t>(y * t.in.map.width + x)) *
                     channels;
      const auto step = static_cast<std::size_t>(w.dilation) * channels;
      for (int r = 0; r < w.height; ++r) {
        const float* p =
            from + static_cast<std::size_t>(r * w.dilation * t.in.map.width) * channels;
        for (int s = 0; s < w.width; ++s, p += step, to += t.k_channels) {
          for (int half = 0; half < kBlock; half += kLanes) store(load(p + half), to + half);
        }
      }
      continue;
    }
    for (int r = 0; r < w.height; ++r) {
      for (int s = 0; s < w.width; ++s, to += t.k_channels) {
        const std::ptrdiff_t at = under(t, place, r, s);
        for (int half = 0; half < kBlock; half += kLanes) {
          store(at < 0 ? zero() : load(data + at + half), to + half);
        }
      }
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace renas::cpu
HWY_AFTER_NAMESPACE();

#endif  // RENAS_NARROW_INL_H_
