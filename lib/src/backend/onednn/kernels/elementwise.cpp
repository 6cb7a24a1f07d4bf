#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/onednn/kernels/elementwise.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h:
#include "backend/onednn/kernels/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace renas::onednn {
namespace HWY_NAMESPACE {

constexpr std::size_t at(int i) { return static_cast<std::size_t>(i); }

struct Range {
  std::size_t begin;
  std::size_t end;
  std::size_t channels;
  Range(const Map& map, int first, int last)
      : begin(static_cast<std::size_t>(first) * map.pixels()),
        end(static_cast<std::size_t>(last) * map.pixels()),
        channels(static_cast<std::size_t>(map.channels)) {}
};

/// What a source that is read pixel by pixel does to channels from c on; coefficients stay in the
/// first cache.
struct Shown {
  const float* scale;
  const float* shift;
  V floor;
  explicit Shown(const Source& s) : scale(s.scale), shift(s.shift), floor(floor_of(s)) {}
  HWY_INLINE V operator()(V v, std::size_t c) const {
    if (scale != nullptr) v = hn::MulAdd(load(scale + c), v, load(shift + c));
    return hn::Max(floor, v);
  }
};

/// The common case: two sources, stored like the sum.
template <class T>
HWY_INLINE void add_two(const Source& a, const Source& b, const Range& range, T* to) {
  const std::size_t channels = range.channels;
  const Shown show_a(a);
  const Shown show_b(b);
  const std::size_t at = range.begin * channels;
  const T* pa = a.data.as<T>() + at;
  const T* pb = b.data.as<T>() + at;
  to += at;
  for (std::size_t p = range.begin; p < range.end;
       ++p, pa += channels, pb += channels, to += channels) {
    for (std::size_t c = 0; c < channels; c += kLanes) {
      store(hn::Add(show_a(load(pa + c), c), show_b(load(pb + c), c)), to + c);
    }
  }
}

void add_forward(const AddArgs& args, int first, int last) {
  const Range range(args.out.map, first, last);
  const bool alike = std::all_of(args.in.begin(), args.in.end(), [&](const Source& s) {
    return s.data.half() == args.out.data.half();
  });
  if (args.in.size() == 2 && alike) {
    return typed(args.out.data,
                 [&](auto* to) HWY_ATTR { add_two(args.in[0], args.in[1], range, to); });
  }
  for (std::size_t p = range.begin; p < range.end; ++p) {
    for (std::size_t c = 0; c < range.channels; c += kLanes) {
      const std::size_t i = p * range.channels + c;
      V sum = zero();
      for (const Source& s : args.in) {
        sum = hn::Add(sum, show(s, load(s.data, i), static_cast<int>(c)));
      }
      store(sum, args.out.data, i);
    }
  }
}

void give_gradient(const Source& to, const Cells& gradient, int first, int last) {
  const Range range(to.map, first, last);
  typed(to.gradient, [&](auto* p) HWY_ATTR {
    using T = std::remove_pointer_t<decltype(p)>;
    const T* data = to.data.as<T>();
    // Of another type if the source is a batch norm of the pictures.
    typed(gradient, [&](auto* g) HWY_ATTR {
      for (std::size_t i = range.begin * range.channels; i < range.end * range.channels;) {
        for (std::size_t c = 0; c < range.channels; c += kLanes, i += kLanes) {
          const V shown = to.relu ? show(to, load(data + i), static_cast<int>(c)) : zero();
          give(to, load(g + i), shown, p + i);
        }
      }
    });
  });
}

/// The first `count` lanes, or all if there are more.
HWY_INLINE void store_some(V v, int count, const Cells& to, std::size_t first) {
  if (count >= kLanes) return store(v, to, first);
  alignas(32) float lanes[kBlock];
  store(v, lanes);
  for (int i = 0; i < count; ++i) to.set(first + at(i), lanes[i]);
}

/// The first `count` lanes, zeros beyond.
HWY_INLINE V load_some(const Cells& from, std::size_t first, int count) {
  if (count >= kLanes) return load(from, first);
  alignas(32) float lanes[kBlock] = {};
  for (int i = 0; i < count; ++i) lanes[i] = from.get(first + at(i));
  return load(lanes);
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
    std::size_t to = p * range.channels;
    args.out.data.clear(to, range.channels);
    for (std::size_t k = 0; k < args.in.size(); to += at(args.channels[k]), ++k) {
      const std::ptrdiff_t from = joined_pixel(args.out.map, p, args.shifted[k] != 0);
      if (from < 0) continue;
      const Source& s = args.in[k];
      const std::size_t pixel = static_cast<std::size_t>(from) * at(s.map.channels);
      for (int c = 0; c < args.channels[k]; c += kLanes) {
        store_some(show(s, load(s.data, pixel + at(c)), c), args.channels[k] - c, args.out.data,
                   to + at(c));
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
    if (s.gradient) {
      // A shift reaches every source pixel but those of the first row and column.
      if (args.shifted[k] != 0 && !s.accumulate) {
        s.gradient.clear(range.begin * step, (range.end - range.begin) * step);
      }
      for (std::size_t p = range.begin; p < range.end; ++p) {
        const std::ptrdiff_t from = joined_pixel(args.out.map, p, args.shifted[k] != 0);
        if (from < 0) continue;
        const std::size_t g = p * range.channels + offset;
        for (int c = 0; c < s.map.channels; c += kLanes) {
          const V part = load_some(args.out.gradient, g + at(c), args.channels[k] - c);
          const std::size_t to = static_cast<std::size_t>(from) * step + at(c);
          give(s, part, show(s, load(s.data, to), c), to);
        }
      }
    }
    offset += static_cast<std::size_t>(args.channels[k]);
  }
}

void mean_forward(const JoinArgs& args, int first, int last) {
  for (int n = first; n < last; ++n) {
    std::size_t to = at(n) * args.out.map.size();
    args.out.data.clear(to, args.out.map.size());
    for (std::size_t k = 0; k < args.in.size(); ++k) {
      const Source& s = args.in[k];
      const std::size_t from = at(n) * s.map.size();
      const V share = hn::Set(d, 1.0F / static_cast<float>(s.map.pixels()));
      for (int c = 0; c < args.channels[k]; c += kLanes) {
        V sum = zero();
        for (std::size_t i = static_cast<std::size_t>(c); i < s.map.size();
             i += static_cast<std::size_t>(s.map.channels)) {
          sum = hn::Add(sum, show(s, load(s.data, from + i), c));
        }
        store_some(hn::Mul(sum, share), args.channels[k] - c, args.out.data, to + at(c));
      }
      to += at(args.channels[k]);
    }
  }
}

void mean_backward(const JoinArgs& args, int first, int last) {
  for (int n = first; n < last; ++n) {
    std::size_t g = at(n) * args.out.map.size();
    for (std::size_t k = 0; k < args.in.size(); ++k) {
      const Source& s = args.in[k];
      const V share = hn::Set(d, 1.0F / static_cast<float>(s.map.pixels()));
      const std::size_t begin = static_cast<std::size_t>(n) * s.map.size();
      for (int c = 0; s.gradient && c < s.map.channels; c += kLanes) {
        const V part = load_some(args.out.gradient, g + at(c), args.channels[k] - c);
        const V each = hn::Mul(part, share);
        for (std::size_t i = begin + static_cast<std::size_t>(c); i < begin + s.map.size();
             i += static_cast<std::size_t>(s.map.channels)) {
          give(s, each, show(s, load(s.data, i), c), i);
        }
      }
      g += at(args.channels[k]);
    }
  }
}

void statistics(const Output& out, int first, int last, float* sums) {
  const Range range(out.map, first, last);
  // In tiles of pixels, channels outermost within a tile: memory is read once.
  constexpr std::size_t kTile = 64;
  for (std::size_t p = range.begin; p < range.end; p += kTile) {
    typed(out.data, [&](auto* data) HWY_ATTR {
      add_statistics(data + p * range.channels, std::min(kTile, range.end - p), out.map.channels,
                     out.pilot, sums);
    });
  }
}

template <class T>
HWY_INLINE void norm_sums_of(const NormSumsArgs& args, const Range& range, const T* v, const T* g,
                             float* sums) {
  const std::size_t step = range.channels;
  v += range.begin * step;
  g += range.begin * step;
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

void norm_sums(const NormSumsArgs& args, int first, int last, float* sums) {
  typed(args.gradient, [&](auto* gradient) HWY_ATTR {
    using T = std::remove_pointer_t<decltype(gradient)>;
    norm_sums_of<T>(args, Range(args.map, first, last), args.data.as<T>(), gradient, sums);
  });
}

void fold_norm(const Output& out, const Cells& gradient, bool accumulate, int first, int last) {
  const Range range(out.map, first, last);
  typed(gradient, [&](auto* to) HWY_ATTR {
    using T = std::remove_pointer_t<decltype(to)>;
    const T* normalised = out.gradient.as<T>();
    const T* data = out.data.as<T>();
    for (std::size_t i = range.begin * range.channels; i < range.end * range.channels;) {
      for (std::size_t c = 0; c < range.channels; c += kLanes, i += kLanes) {
        V g =
            hn::MulAdd(load(out.by_gradient + c), load(normalised + i),
                       hn::MulAdd(load(out.by_value + c), load(data + i), load(out.constant + c)));
        if (accumulate) g = hn::Add(g, load(to + i));
        store(g, to + i);
      }
    }
  });
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
void give_gradient(const Source& to, const Cells& gradient, int first, int last) {
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
void fold_norm(const Output& out, const Cells& gradient, bool accumulate, int first, int last) {
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
