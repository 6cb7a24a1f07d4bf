#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/elementwise.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h:
#include "backend/cpu/kernels/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace renas::cpu {
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

/// The common case: two sources, stored like the sum.
template <class Tag, class T>
HWY_INLINE void add_two(Tag tag, const Source& a, const Source& b, const Range& range, T* to) {
  const std::size_t channels = range.channels;
  const Shown show_a(a);
  const Shown show_b(b);
  const std::size_t at = range.begin * channels;
  const T* pa = a.data.as<T>() + at;
  const T* pb = b.data.as<T>() + at;
  to += at;
  for (std::size_t p = range.begin; p < range.end;
       ++p, pa += channels, pb += channels, to += channels) {
    for (std::size_t c = 0; c < channels; c += hn::Lanes(tag)) {
      store(hn::Add(show_a(tag, load(tag, pa + c), c), show_b(tag, load(tag, pb + c), c)), tag,
            to + c);
    }
  }
}

void add_forward(const AddArgs& args, int first, int last) {
  const Range range(args.out.map, first, last);
  const bool alike = std::all_of(args.in.begin(), args.in.end(), [&](const Source& s) {
    return s.data.half() == args.out.data.half();
  });
  if (args.in.size() == 2 && alike) {
    return typed(args.out.data, [&](auto* to) HWY_ATTR {
      with_tag(args.out.map.channels,
               [&](auto tag) HWY_ATTR { add_two(tag, args.in[0], args.in[1], range, to); });
    });
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
  const std::size_t at = range.begin * range.channels;
  // Of another type if the source is a batch norm of the pictures.
  typed(gradient, [&](auto* g) HWY_ATTR {
    with_tag(to.map.channels, [&](auto tag) HWY_ATTR {
      give_pixels(tag, to, {at, range.end - range.begin, 0, range.channels}, g + at,
                  range.channels);
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

/// Means take so many channels at a time, straight through memory.
constexpr int kMeanChannels = 128;

/// Calls work(first channel, padded channels, and how many of them there are) for some channels of
/// a part after the other.
template <class Work>
HWY_INLINE void each_channels(const JoinArgs& args, std::size_t part, const Work& work) {
  for (int c = 0; c < args.in[part].map.channels; c += kMeanChannels) {
    work(c, std::min(kMeanChannels, args.in[part].map.channels - c),
         std::min(kMeanChannels, args.channels[part] - c));
  }
}

void mean_forward(const JoinArgs& args, int first, int last) {
  alignas(64) float sums[kMeanChannels];
  for (int n = first; n < last; ++n) {
    std::size_t to = at(n) * args.out.map.size();
    args.out.data.clear(to, args.out.map.size());
    for (std::size_t k = 0; k < args.in.size(); ++k) {
      const Source& s = args.in[k];
      const Shown shown(s);
      const std::size_t step = at(s.map.channels);
      const float share = 1.0F / static_cast<float>(s.map.pixels());
      each_channels(args, k, [&](int c, int padded, int count) HWY_ATTR {
        std::fill_n(sums, padded, 0.0F);
        with_tag(padded, [&](auto tag) HWY_ATTR {
          typed(s.data, [&](auto* data) HWY_ATTR {
            data += at(n) * s.map.size() + at(c);
            for (std::size_t p = 0; p < s.map.pixels(); ++p, data += step) {
              for (std::size_t i = 0; i < at(padded); i += hn::Lanes(tag)) {
                const auto v = shown(tag, load(tag, data + i), at(c) + i);
                store(hn::Add(load(tag, sums + i), v), tag, sums + i);
              }
            }
          });
        });
        for (int i = 0; i < count; ++i) args.out.data.set(to + at(c + i), share * sums[i]);
      });
      to += at(args.channels[k]);
    }
  }
}

void mean_backward(const JoinArgs& args, int first, int last) {
  alignas(64) float shares[kMeanChannels];
  for (int n = first; n < last; ++n) {
    std::size_t g = at(n) * args.out.map.size();
    for (std::size_t k = 0; k < args.in.size(); ++k) {
      const Source& s = args.in[k];
      const float share = 1.0F / static_cast<float>(s.map.pixels());
      if (s.gradient) {
        each_channels(args, k, [&](int c, int padded, int count) HWY_ATTR {
          for (int i = 0; i < padded; ++i) {
            shares[i] = i < count ? share * args.out.gradient.get(g + at(c + i)) : 0;
          }
          with_tag(padded, [&](auto tag) HWY_ATTR {
            give_pixels(tag, s, {at(n) * s.map.size(), s.map.pixels(), at(c), at(padded)}, shares,
                        0);
          });
        });
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

/// Sums of COUNT normalisations, straight through memory, some pixels at a time; the sums stay in
/// the first cache.
template <int COUNT, class Tag, class T>
HWY_INLINE void norm_sums_of(Tag tag, const NormSumsArgs& args, const Range& range,
                             const T* gradient, float* sums) {
  const std::size_t step = range.channels;
  const auto take = [&](std::size_t pixel, auto pixels) HWY_ATTR {
    const std::size_t at = pixel * step;
    for (std::size_t c = 0; c < step; c += hn::Lanes(tag)) {
      hn::Vec<Tag> g[pixels];
      auto sum = hn::Zero(tag);
      for (int i = 0; i < pixels; ++i) {
        g[i] = load(tag, gradient + at + static_cast<std::size_t>(i) * step + c);
        sum = hn::Add(sum, g[i]);
      }
      store(hn::Add(load(tag, sums + c), sum), tag, sums + c);
#pragma GCC unroll 2
      for (int k = 0; k < COUNT; ++k) {
        const T* value = args.data[k].template as<T>() + at + c;
        const auto mean = load(tag, args.mean[k] + c);
        auto dot = hn::Zero(tag);
        for (int i = 0; i < pixels; ++i, value += step) {
          dot = hn::MulAdd(g[i], hn::Sub(load(tag, value), mean), dot);
        }
        float* to = sums + static_cast<std::size_t>(k + 1) * step + c;
        store(hn::Add(load(tag, to), dot), tag, to);
      }
    }
  };
  std::size_t pixel = range.begin;
  for (; pixel + 4 <= range.end; pixel += 4) take(pixel, std::integral_constant<int, 4>());
  for (; pixel < range.end; ++pixel) take(pixel, std::integral_constant<int, 1>());
}

void norm_sums(const NormSumsArgs& args, int first, int last, float* sums) {
  const Range range(args.map, first, last);
  typed(args.gradient, [&](auto* gradient) HWY_ATTR {
    with_tag(args.map.channels, [&](auto tag) HWY_ATTR {
      if (args.count == 2) {
        norm_sums_of<2>(tag, args, range, gradient, sums);
      } else {
        norm_sums_of<1>(tag, args, range, gradient, sums);
      }
    });
  });
}

void fold_norm(const Output& out, const Cells& gradient, bool accumulate, int first, int last) {
  const Range range(out.map, first, last);
  typed(gradient, [&](auto* to) HWY_ATTR {
    using T = std::remove_pointer_t<decltype(to)>;
    const T* normalised = out.gradient.as<T>();
    const T* data = out.data.as<T>();
    with_tag(out.map.channels, [&](auto tag) HWY_ATTR {
      for (std::size_t i = range.begin * range.channels; i < range.end * range.channels;) {
        for (std::size_t c = 0; c < range.channels; c += hn::Lanes(tag), i += hn::Lanes(tag)) {
          const auto rest = hn::MulAdd(load(tag, out.by_value + c), load(tag, data + i),
                                       load(tag, out.constant + c));
          auto g = hn::MulAdd(load(tag, out.by_gradient + c), load(tag, normalised + i), rest);
          if (accumulate) g = hn::Add(g, load(tag, to + i));
          store(g, tag, to + i);
        }
      }
    });
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
}  // namespace renas::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace renas::cpu {

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

}  // namespace renas::cpu
#endif
