#include <algorithm>
#include <cstring>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/onednn/kernels/elementwise.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h:
#include "backend/onednn/kernels/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace renas::onednn {
namespace HWY_NAMESPACE {

// Passes over whole maps go in tiles of pixels, channels outermost within a tile: coefficients stay
// in registers, memory is read once.
constexpr std::size_t kTile = 64;

struct Range {
  std::size_t begin;
  std::size_t end;
  std::size_t channels;
  Range(const Map& map, int first, int last)
      : begin(static_cast<std::size_t>(first) * map.pixels()),
        end(static_cast<std::size_t>(last) * map.pixels()),
        channels(static_cast<std::size_t>(map.channels)) {}
};

HWY_INLINE void add_source(const Source& s, const float* from, float* to, std::size_t pixels,
                           bool add) {
  const auto channels = static_cast<std::size_t>(s.map.channels);
  for (std::size_t c = 0; c < channels; c += kLanes) {
    const V scale = s.scale == nullptr ? hn::Set(d, 1.0F) : load(s.scale + c);
    const V shift = s.scale == nullptr ? zero() : load(s.shift + c);
    const V floor = s.relu ? zero() : hn::Set(d, -3.402823466e38F);
    for (std::size_t i = c; i < pixels * channels; i += channels) {
      V v = hn::Max(floor, hn::MulAdd(scale, load(from + i), shift));
      if (add) v = hn::Add(v, load(to + i));
      store(v, to + i);
    }
  }
}

/// What a source that is read pixel by pixel does to channels from c on; coefficients stay in the
/// first cache.
struct Shown {
  const float* scale;
  const float* shift;
  V floor;
  explicit Shown(const Source& s)
      : scale(s.scale),
        shift(s.shift),
        floor(s.relu ? zero() : hn::Set(d, -std::numeric_limits<float>::infinity())) {}
  HWY_INLINE V operator()(V v, std::size_t c) const {
    if (scale != nullptr) v = hn::MulAdd(load(scale + c), v, load(shift + c));
    return hn::Max(floor, v);
  }
};

/// The common case in one sweep, straight through memory: two sources.
HWY_INLINE void add_two(const Source& a, const Source& b, std::size_t at, float* to,
                        std::size_t pixels) {
  const auto channels = static_cast<std::size_t>(a.map.channels);
  const Shown show_a(a);
  const Shown show_b(b);
  const float* pa = a.data + at;
  const float* pb = b.data + at;
  for (std::size_t p = 0; p < pixels; ++p, pa += channels, pb += channels, to += channels) {
    for (std::size_t c = 0; c < channels; c += kLanes) {
      store(hn::Add(show_a(load(pa + c), c), show_b(load(pb + c), c)), to + c);
    }
  }
}

void add_forward(const AddArgs& args, int first, int last) {
  const Range range(args.out.map, first, last);
  for (std::size_t p = range.begin; p < range.end; p += kTile) {
    const std::size_t pixels = std::min(kTile, range.end - p);
    const std::size_t at = p * range.channels;
    if (args.in.size() == 2) {
      add_two(args.in[0], args.in[1], at, args.out.data + at, pixels);
      continue;
    }
    bool add = false;
    for (const Source& s : args.in) {
      add_source(s, s.data + at, args.out.data + at, pixels, add);
      add = true;
    }
  }
}

void give_gradient(const Source& to, const float* gradient, int first, int last) {
  const Range range(to.map, first, last);
  for (std::size_t p = range.begin; p < range.end; ++p) {
    for (std::size_t c = 0; c < range.channels; c += kLanes) {
      const std::size_t at = p * range.channels + c;
      const V shown = to.relu ? show(to, load(to.data + at), static_cast<int>(c)) : zero();
      give(to, load(gradient + at), shown, at);
    }
  }
}

/// Offset of the source pixel that pixel p of the result reads; -1 beyond the edge of a shift.
HWY_INLINE std::ptrdiff_t joined_pixel(const Map& map, std::size_t p, bool shifted) {
  if (!shifted) return static_cast<std::ptrdiff_t>(p);
  const int y = static_cast<int>(p % map.pixels()) / map.width;
  const int x = static_cast<int>(p % map.pixels()) % map.width;
  if (y + 1 == map.height || x + 1 == map.width) return -1;
  return static_cast<std::ptrdiff_t>(p) + map.width + 1;
}

void join_forward(const JoinArgs& args, int first, int last) {
  const Range range(args.out.map, first, last);
  for (std::size_t p = range.begin; p < range.end; ++p) {
    float* to = args.out.data + p * range.channels;
    std::memset(to, 0, range.channels * sizeof(float));
    for (std::size_t k = 0; k < args.in.size(); to += args.channels[k], ++k) {
      const std::ptrdiff_t from = joined_pixel(args.out.map, p, args.shifted[k] != 0);
      if (from < 0) continue;
      const Source& s = args.in[k];
      const float* pixel = s.data + from * s.map.channels;
      for (int c = 0; c < args.channels[k]; c += kLanes) {
        alignas(32) float shown[kBlock];
        store(show(s, load(pixel + c), c), shown);
        std::memcpy(
            to + c, shown,
            static_cast<std::size_t>(std::min(kLanes, args.channels[k] - c)) * sizeof(float));
      }
    }
  }
}

void join_backward(const JoinArgs& args, int first, int last) {
  const Range range(args.out.map, first, last);
  std::size_t offset = 0;
  for (std::size_t k = 0; k < args.in.size(); ++k) {
    const Source& s = args.in[k];
    const auto step = static_cast<std::size_t>(s.map.channels);
    if (s.gradient != nullptr) {
      // A shift reaches every source pixel but those of the first row and column.
      if (args.shifted[k] != 0 && !s.accumulate) {
        std::memset(s.gradient + range.begin * step, 0,
                    (range.end - range.begin) * step * sizeof(float));
      }
      for (std::size_t p = range.begin; p < range.end; ++p) {
        const std::ptrdiff_t from = joined_pixel(args.out.map, p, args.shifted[k] != 0);
        if (from < 0) continue;
        const float* g = args.out.gradient + p * range.channels + offset;
        for (int c = 0; c < s.map.channels; c += kLanes) {
          alignas(32) float part[kBlock] = {};
          const int rest = std::min(kLanes, args.channels[k] - c);
          if (rest > 0) std::memcpy(part, g + c, static_cast<std::size_t>(rest) * sizeof(float));
          const std::size_t at =
              static_cast<std::size_t>(from) * step + static_cast<std::size_t>(c);
          give(s, load(part), show(s, load(s.data + at), c), at);
        }
      }
    }
    offset += static_cast<std::size_t>(args.channels[k]);
  }
}

void mean_forward(const JoinArgs& args, int first, int last) {
  for (int n = first; n < last; ++n) {
    float* to = args.out.data + static_cast<std::size_t>(n) * args.out.map.size();
    std::memset(to, 0, args.out.map.size() * sizeof(float));
    for (std::size_t k = 0; k < args.in.size(); ++k) {
      const Source& s = args.in[k];
      const float* from = s.data + static_cast<std::size_t>(n) * s.map.size();
      const V share = hn::Set(d, 1.0F / static_cast<float>(s.map.pixels()));
      for (int c = 0; c < args.channels[k]; c += kLanes) {
        V sum = zero();
        for (std::size_t i = static_cast<std::size_t>(c); i < s.map.size();
             i += static_cast<std::size_t>(s.map.channels)) {
          sum = hn::Add(sum, show(s, load(from + i), c));
        }
        alignas(32) float means[kBlock];
        store(hn::Mul(sum, share), means);
        std::memcpy(
            to + c, means,
            static_cast<std::size_t>(std::min(kLanes, args.channels[k] - c)) * sizeof(float));
      }
      to += args.channels[k];
    }
  }
}

void mean_backward(const JoinArgs& args, int first, int last) {
  for (int n = first; n < last; ++n) {
    const float* g = args.out.gradient + static_cast<std::size_t>(n) * args.out.map.size();
    for (std::size_t k = 0; k < args.in.size(); ++k) {
      const Source& s = args.in[k];
      const V share = hn::Set(d, 1.0F / static_cast<float>(s.map.pixels()));
      const std::size_t begin = static_cast<std::size_t>(n) * s.map.size();
      for (int c = 0; s.gradient != nullptr && c < s.map.channels; c += kLanes) {
        alignas(32) float part[kBlock] = {};
        const int rest = std::min(kLanes, args.channels[k] - c);
        if (rest > 0) std::memcpy(part, g + c, static_cast<std::size_t>(rest) * sizeof(float));
        const V each = hn::Mul(load(part), share);
        for (std::size_t i = begin + static_cast<std::size_t>(c); i < begin + s.map.size();
             i += static_cast<std::size_t>(s.map.channels)) {
          give(s, each, show(s, load(s.data + i), c), i);
        }
      }
      g += args.channels[k];
    }
  }
}

void statistics(const Output& out, int first, int last, float* sums) {
  const Range range(out.map, first, last);
  for (std::size_t p = range.begin; p < range.end; p += kTile) {
    add_statistics(out.data + p * range.channels, std::min(kTile, range.end - p), out.map.channels,
                   out.pilot, sums);
  }
}

void norm_sums(const NormSumsArgs& args, int first, int last, float* sums) {
  const Range range(args.map, first, last);
  const std::size_t step = range.channels;
  const float* v = args.data + range.begin * step;
  const float* g = args.gradient + range.begin * step;
  std::size_t pixels = range.end - range.begin;
  // Straight through memory, four pixels at a time; the sums stay in the first cache.
  for (; pixels >= 4; pixels -= 4, v += 4 * step, g += 4 * step) {
    for (std::size_t c = 0; c < step; c += kLanes) {
      const V mean = load(args.mean + c);
      const V g0 = load(g + c);
      const V g1 = load(g + step + c);
      const V g2 = load(g + 2 * step + c);
      const V g3 = load(g + 3 * step + c);
      const V sum = hn::Add(hn::Add(g0, g1), hn::Add(g2, g3));
      V dot0 = hn::Mul(g0, hn::Sub(load(v + c), mean));
      V dot1 = hn::Mul(g1, hn::Sub(load(v + step + c), mean));
      dot0 = hn::MulAdd(g2, hn::Sub(load(v + 2 * step + c), mean), dot0);
      dot1 = hn::MulAdd(g3, hn::Sub(load(v + 3 * step + c), mean), dot1);
      store(hn::Add(load(sums + c), sum), sums + c);
      store(hn::Add(load(sums + step + c), hn::Add(dot0, dot1)), sums + step + c);
    }
  }
  add_norm_sums(v, g, pixels, args.map.channels, args.mean, sums);
}

void fold_norm(const Output& out, float* gradient, bool accumulate, int first, int last) {
  const Range range(out.map, first, last);
  for (std::size_t p = range.begin; p < range.end; ++p) {
    for (std::size_t c = 0; c < range.channels; c += kLanes) {
      const std::size_t at = p * range.channels + c;
      V g = output_gradient(out, at, static_cast<int>(c));
      if (accumulate) g = hn::Add(g, load(gradient + at));
      store(g, gradient + at);
    }
  }
}

void sum_areas(const float* areas, std::size_t stride, int count, std::size_t size, float* target) {
  std::size_t i = 0;
  for (; i + kLanes <= size; i += kLanes) {
    V sum = load(target + i);
    for (int k = 0; k < count; ++k) {
      sum = hn::Add(sum, load(areas + static_cast<std::size_t>(k) * stride + i));
    }
    store(sum, target + i);
  }
  for (; i < size; ++i) {
    for (int k = 0; k < count; ++k) target[i] += areas[static_cast<std::size_t>(k) * stride + i];
  }
}

void sgd(float* weight, float* gradient, float* momentum, std::size_t size, float rate,
         float momentum_factor, float decay) {
  const V m = hn::Set(d, momentum_factor);
  const V w = hn::Set(d, decay);
  const V r = hn::Set(d, rate);
  std::size_t i = 0;
  for (; i + kLanes <= size; i += kLanes) {
    const V old = load(weight + i);
    const V step = hn::MulAdd(m, load(momentum + i), hn::MulAdd(w, old, load(gradient + i)));
    store(step, momentum + i);
    store(hn::NegMulAdd(r, step, old), weight + i);
    store(zero(), gradient + i);
  }
  for (; i < size; ++i) {
    momentum[i] = momentum_factor * momentum[i] + (gradient[i] + decay * weight[i]);
    weight[i] -= rate * momentum[i];
    gradient[i] = 0;
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace renas::onednn
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace renas::onednn {

HWY_EXPORT(add_forward);
HWY_EXPORT(give_gradient);
HWY_EXPORT(join_forward);
HWY_EXPORT(join_backward);
HWY_EXPORT(mean_forward);
HWY_EXPORT(mean_backward);
HWY_EXPORT(statistics);
HWY_EXPORT(norm_sums);
HWY_EXPORT(fold_norm);
HWY_EXPORT(sum_areas);
HWY_EXPORT(sgd);

void add_forward(const AddArgs& args, int first, int last) {
  HWY_DYNAMIC_DISPATCH(add_forward)(args, first, last);
}
void give_gradient(const Source& to, const float* gradient, int first, int last) {
  HWY_DYNAMIC_DISPATCH(give_gradient)(to, gradient, first, last);
}
void join_forward(const JoinArgs& args, int first, int last) {
  HWY_DYNAMIC_DISPATCH(join_forward)(args, first, last);
}
void join_backward(const JoinArgs& args, int first, int last) {
  HWY_DYNAMIC_DISPATCH(join_backward)(args, first, last);
}
void mean_forward(const JoinArgs& args, int first, int last) {
  HWY_DYNAMIC_DISPATCH(mean_forward)(args, first, last);
}
void mean_backward(const JoinArgs& args, int first, int last) {
  HWY_DYNAMIC_DISPATCH(mean_backward)(args, first, last);
}
void statistics(const Output& out, int first, int last, float* sums) {
  HWY_DYNAMIC_DISPATCH(statistics)(out, first, last, sums);
}
void norm_sums(const NormSumsArgs& args, int first, int last, float* sums) {
  HWY_DYNAMIC_DISPATCH(norm_sums)(args, first, last, sums);
}
void fold_norm(const Output& out, float* gradient, bool accumulate, int first, int last) {
  HWY_DYNAMIC_DISPATCH(fold_norm)(out, gradient, accumulate, first, last);
}
void sum_areas(const float* areas, std::size_t stride, int count, std::size_t size, float* target) {
  HWY_DYNAMIC_DISPATCH(sum_areas)(areas, stride, count, size, target);
}
void sgd(float* weight, float* gradient, float* momentum, std::size_t size, float rate,
         float momentum_factor, float decay) {
  HWY_DYNAMIC_DISPATCH(sgd)(weight, gradient, momentum, size, rate, momentum_factor, decay);
}

}  // namespace renas::onednn
#endif
