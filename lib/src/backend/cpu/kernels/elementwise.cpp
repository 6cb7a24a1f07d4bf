#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/elementwise.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h:
#include "backend/cpu/kernels/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace renas::cpu {
namespace HWY_NAMESPACE {

/// Pixels [begin, end), counted over all images, of images [first, last).
struct PixelRange {
  std::size_t begin;
  std::size_t end;
  std::size_t channels;
  PixelRange(const Map& map, int first, int last)
      : begin(first * map.pixels()), end(last * map.pixels()), channels(map.channels) {}
};

/// Adds two inputs that are stored in the same type as the sum: the common case.
template <class Tag, class T>
HWY_INLINE void add_two(Tag tag, const InputView& a, const InputView& b, const PixelRange& range,
                        T* to) {
  const std::size_t channels = range.channels;
  const Activation activate_a(a);
  const Activation activate_b(b);
  const std::size_t at = range.begin * channels;
  const T* pa = a.data.as<T>() + at;
  const T* pb = b.data.as<T>() + at;
  to += at;
  for (std::size_t p = range.begin; p < range.end;
       ++p, pa += channels, pb += channels, to += channels) {
    for (std::size_t c = 0; c < channels; c += hn::Lanes(tag)) {
      store(hn::Add(activate_a(tag, load(tag, pa + c), c), activate_b(tag, load(tag, pb + c), c)),
            tag, to + c);
    }
  }
}

void add_forward(const AddArgs& args, int first, int last) {
  const PixelRange range(args.out.map, first, last);
  const bool alike = std::all_of(args.in.begin(), args.in.end(), [&](const InputView& s) {
    return s.data.is_bf16() == args.out.data.is_bf16();
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
      for (const InputView& s : args.in) {
        sum = hn::Add(sum, activate(s, load(s.data, i), static_cast<int>(c)));
      }
      store(sum, args.out.data, i);
    }
  }
}

void store_gradient_map(const InputView& to, const MapData& gradient, int first, int last) {
  const PixelRange range(to.map, first, last);
  const std::size_t at = range.begin * range.channels;
  // The gradient has another type than the input if that is a batch norm of the images.
  typed(gradient, [&](auto* g) HWY_ATTR {
    with_tag(to.map.channels, [&](auto tag) HWY_ATTR {
      store_gradient_pixels(tag, to, {at, range.end - range.begin, 0, range.channels}, g + at,
                            range.channels);
    });
  });
}

/// Stores the first `count` lanes; all of them if `count` is their number or more.
HWY_INLINE void store_some(V v, int count, const MapData& to, std::size_t first) {
  if (count >= kLanes) return store(v, to, first);
  alignas(32) float lanes[kBlock];
  store(v, lanes);
  for (int i = 0; i < count; ++i) to.set(first + i, lanes[i]);
}

/// Loads the first `count` lanes, with zeros beyond; all of them if `count` is their number or
/// more.
HWY_INLINE V load_some(const MapData& from, std::size_t first, int count) {
  if (count >= kLanes) return load(from, first);
  alignas(32) float lanes[kBlock] = {};
  for (int i = 0; i < count; ++i) lanes[i] = from.get(first + i);
  return load(lanes);
}

/// The input pixel that pixel p of the result reads; -1 beyond the edge of a pixel shift.
HWY_INLINE std::ptrdiff_t input_pixel(const Map& map, std::size_t p, bool shifted) {
  if (!shifted) return static_cast<std::ptrdiff_t>(p);
  const int y = static_cast<int>(p % map.pixels()) / map.width;
  const int x = static_cast<int>(p % map.pixels()) % map.width;
  if (y + 1 == map.height || x + 1 == map.width) return -1;
  return static_cast<std::ptrdiff_t>(p) + map.width + 1;
}

void materialise_forward(const ConcatArgs& args, int first, int last) {
  const PixelRange range(args.out.map, first, last);
  for (std::size_t p = range.begin; p < range.end; ++p) {
    std::size_t to = p * range.channels;
    args.out.data.clear(to, range.channels);
    for (std::size_t k = 0; k < args.in.size(); to += args.channels[k], ++k) {
      const std::ptrdiff_t from = input_pixel(args.out.map, p, args.shifted[k] != 0);
      if (from < 0) continue;
      const InputView& s = args.in[k];
      const std::size_t pixel = from * s.map.channels;
      for (int c = 0; c < args.channels[k]; c += kLanes) {
        store_some(activate(s, load(s.data, pixel + c), c), args.channels[k] - c, args.out.data,
                   to + c);
      }
    }
  }
}

void materialise_backward(const ConcatArgs& args, int first, int last) {
  const PixelRange range(args.out.map, first, last);
  std::size_t offset = 0;
  for (std::size_t k = 0; k < args.in.size(); ++k) {
    const InputView& s = args.in[k];
    const std::size_t step = s.map.channels;
    if (s.gradient) {
      // A pixel shift reaches every input pixel except those of the first row and column.
      if (args.shifted[k] != 0 && !s.accumulate) {
        s.gradient.clear(range.begin * step, (range.end - range.begin) * step);
      }
      for (std::size_t p = range.begin; p < range.end; ++p) {
        const std::ptrdiff_t from = input_pixel(args.out.map, p, args.shifted[k] != 0);
        if (from < 0) continue;
        const std::size_t g = p * range.channels + offset;
        for (int c = 0; c < s.map.channels; c += kLanes) {
          const V part = load_some(args.out.gradient, g + c, args.channels[k] - c);
          const std::size_t to = from * step + c;
          store_gradient(s, part, activate(s, load(s.data, to), c), to);
        }
      }
    }
    offset += args.channels[k];
  }
}

/// The number of channels that are averaged at a time; memory is read in order.
constexpr int kAverageChannels = 128;

/// Calls work(first channel, padded channels, true channels) for groups of one input's channels.
template <class Work>
HWY_INLINE void each_channels(const ConcatArgs& args, std::size_t part, const Work& work) {
  for (int c = 0; c < args.in[part].map.channels; c += kAverageChannels) {
    work(c, std::min(kAverageChannels, args.in[part].map.channels - c),
         std::min(kAverageChannels, args.channels[part] - c));
  }
}

void global_average_forward(const ConcatArgs& args, int first, int last) {
  alignas(64) float sums[kAverageChannels];
  for (int n = first; n < last; ++n) {
    std::size_t to = n * args.out.map.size();
    args.out.data.clear(to, args.out.map.size());
    for (std::size_t k = 0; k < args.in.size(); ++k) {
      const InputView& s = args.in[k];
      const Activation activate_view(s);
      const std::size_t step = s.map.channels;
      const float share = 1.0F / static_cast<float>(s.map.pixels());
      each_channels(args, k, [&](std::size_t c, std::size_t padded, std::size_t count) HWY_ATTR {
        std::fill_n(sums, padded, 0.0F);
        with_tag(padded, [&](auto tag) HWY_ATTR {
          typed(s.data, [&](auto* data) HWY_ATTR {
            data += n * s.map.size() + c;
            for (std::size_t p = 0; p < s.map.pixels(); ++p, data += step) {
              for (std::size_t i = 0; i < padded; i += hn::Lanes(tag)) {
                const auto v = activate_view(tag, load(tag, data + i), c + i);
                store(hn::Add(load(tag, sums + i), v), tag, sums + i);
              }
            }
          });
        });
        for (std::size_t i = 0; i < count; ++i) args.out.data.set(to + c + i, share * sums[i]);
      });
      to += args.channels[k];
    }
  }
}

void global_average_backward(const ConcatArgs& args, int first, int last) {
  alignas(64) float shares[kAverageChannels];
  for (int n = first; n < last; ++n) {
    std::size_t g = n * args.out.map.size();
    for (std::size_t k = 0; k < args.in.size(); ++k) {
      const InputView& s = args.in[k];
      const float share = 1.0F / static_cast<float>(s.map.pixels());
      if (s.gradient) {
        each_channels(args, k, [&](std::size_t c, std::size_t padded, std::size_t count) HWY_ATTR {
          for (std::size_t i = 0; i < padded; ++i) {
            shares[i] = i < count ? share * args.out.gradient.get(g + c + i) : 0;
          }
          with_tag(padded, [&](auto tag) HWY_ATTR {
            store_gradient_pixels(tag, s, {n * s.map.size(), s.map.pixels(), c, padded}, shares, 0);
          });
        });
      }
      g += args.channels[k];
    }
  }
}

void statistics(const OutputMap& out, int first, int last, float* sums) {
  const PixelRange range(out.map, first, last);
  // Tiles of pixels, with channels outermost within a tile: each tile is read from memory once.
  constexpr std::size_t kTile = 64;
  for (std::size_t p = range.begin; p < range.end; p += kTile) {
    typed(out.data, [&](auto* data) HWY_ATTR {
      add_statistics(data + p * range.channels, std::min(kTile, range.end - p), out.map.channels,
                     out.centre, sums);
    });
  }
}

/// Adds the backward sums of COUNT batch norms, reading memory in order, some pixels at a time. The
/// sums stay in the first-level cache.
template <int COUNT, class Tag, class T>
HWY_INLINE void norm_sums_in(Tag tag, const NormSumsArgs& args, const PixelRange& range,
                             const T* gradient, float* sums) {
  const std::size_t step = range.channels;
  const auto add_pixels = [&](std::size_t pixel, auto pixels) HWY_ATTR {
    const std::size_t at = pixel * step;
    for (std::size_t c = 0; c < step; c += hn::Lanes(tag)) {
      hn::Vec<Tag> g[pixels];
      auto sum = hn::Zero(tag);
      for (int i = 0; i < pixels; ++i) {
        g[i] = load(tag, gradient + at + i * step + c);
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
        float* to = sums + (k + 1) * step + c;
        store(hn::Add(load(tag, to), dot), tag, to);
      }
    }
  };
  std::size_t pixel = range.begin;
  for (; pixel + 4 <= range.end; pixel += 4) add_pixels(pixel, std::integral_constant<int, 4>());
  for (; pixel < range.end; ++pixel) add_pixels(pixel, std::integral_constant<int, 1>());
}

void norm_sums(const NormSumsArgs& args, int first, int last, float* sums) {
  const PixelRange range(args.map, first, last);
  typed(args.gradient, [&](auto* gradient) HWY_ATTR {
    with_tag(args.map.channels, [&](auto tag) HWY_ATTR {
      if (args.count == 2) {
        norm_sums_in<2>(tag, args, range, gradient, sums);
      } else {
        norm_sums_in<1>(tag, args, range, gradient, sums);
      }
    });
  });
}

void norm_input_gradient(const OutputMap& out, const MapData& gradient, bool accumulate, int first,
                         int last) {
  const PixelRange range(out.map, first, last);
  typed(gradient, [&](auto* to) HWY_ATTR {
    using T = std::remove_pointer_t<decltype(to)>;
    const T* normalised = out.gradient.as<T>();
    const T* data = out.data.as<T>();
    with_tag(out.map.channels, [&](auto tag) HWY_ATTR {
      for (std::size_t i = range.begin * range.channels; i < range.end * range.channels;) {
        for (std::size_t c = 0; c < range.channels; c += hn::Lanes(tag), i += hn::Lanes(tag)) {
          const auto rest = hn::MulAdd(load(tag, out.x_scale + c), load(tag, data + i),
                                       load(tag, out.offset + c));
          auto g = hn::MulAdd(load(tag, out.dy_scale + c), load(tag, normalised + i), rest);
          if (accumulate) g = hn::Add(g, load(tag, to + i));
          store(g, tag, to + i);
        }
      }
    });
  });
}

void add_partials(const float* partials, std::size_t stride, int count, std::size_t size,
                  float* target) {
  std::size_t i = 0;
  for (; i + kLanes <= size; i += kLanes) {
    V sum = load(target + i);
    for (int k = 0; k < count; ++k) {
      sum = hn::Add(sum, load(partials + k * stride + i));
    }
    store(sum, target + i);
  }
  for (; i < size; ++i) {
    for (int k = 0; k < count; ++k) target[i] += partials[k * stride + i];
  }
}

void sgd(float* weight, float* gradient, float* momentum, std::size_t size, float rate,
         float momentum_factor, float decay, bool nesterov) {
  const V m = hn::Set(d, momentum_factor);
  const V w = hn::Set(d, decay);
  const V r = hn::Set(d, rate);
  std::size_t i = 0;
  for (; i + kLanes <= size; i += kLanes) {
    const V old = load(weight + i);
    const V slope = hn::MulAdd(w, old, load(gradient + i));
    const V velocity = hn::MulAdd(m, load(momentum + i), slope);
    store(velocity, momentum + i);
    const V step = nesterov ? hn::MulAdd(m, velocity, slope) : velocity;
    store(hn::NegMulAdd(r, step, old), weight + i);
    store(zero(), gradient + i);
  }
  for (; i < size; ++i) {
    const float slope = gradient[i] + decay * weight[i];
    momentum[i] = momentum_factor * momentum[i] + slope;
    weight[i] -= rate * (nesterov ? slope + momentum_factor * momentum[i] : momentum[i]);
    gradient[i] = 0;
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace renas::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace renas::cpu {

HWY_EXPORT(add_forward);
HWY_EXPORT(store_gradient_map);
HWY_EXPORT(materialise_forward);
HWY_EXPORT(materialise_backward);
HWY_EXPORT(global_average_forward);
HWY_EXPORT(global_average_backward);
HWY_EXPORT(statistics);
HWY_EXPORT(norm_sums);
HWY_EXPORT(norm_input_gradient);
HWY_EXPORT(add_partials);
HWY_EXPORT(sgd);

void add_forward(const AddArgs& args, int first, int last) {
  HWY_DYNAMIC_DISPATCH(add_forward)(args, first, last);
}
void store_gradient_map(const InputView& to, const MapData& gradient, int first, int last) {
  HWY_DYNAMIC_DISPATCH(store_gradient_map)(to, gradient, first, last);
}
void materialise_forward(const ConcatArgs& args, int first, int last) {
  HWY_DYNAMIC_DISPATCH(materialise_forward)(args, first, last);
}
void materialise_backward(const ConcatArgs& args, int first, int last) {
  HWY_DYNAMIC_DISPATCH(materialise_backward)(args, first, last);
}
void global_average_forward(const ConcatArgs& args, int first, int last) {
  HWY_DYNAMIC_DISPATCH(global_average_forward)(args, first, last);
}
void global_average_backward(const ConcatArgs& args, int first, int last) {
  HWY_DYNAMIC_DISPATCH(global_average_backward)(args, first, last);
}
void statistics(const OutputMap& out, int first, int last, float* sums) {
  HWY_DYNAMIC_DISPATCH(statistics)(out, first, last, sums);
}
void norm_sums(const NormSumsArgs& args, int first, int last, float* sums) {
  HWY_DYNAMIC_DISPATCH(norm_sums)(args, first, last, sums);
}
void norm_input_gradient(const OutputMap& out, const MapData& gradient, bool accumulate, int first,
                         int last) {
  HWY_DYNAMIC_DISPATCH(norm_input_gradient)(out, gradient, accumulate, first, last);
}
void add_partials(const float* partials, std::size_t stride, int count, std::size_t size,
                  float* target) {
  HWY_DYNAMIC_DISPATCH(add_partials)(partials, stride, count, size, target);
}
void sgd(float* weight, float* gradient, float* momentum, std::size_t size, float rate,
         float momentum_factor, float decay, bool nesterov) {
  HWY_DYNAMIC_DISPATCH(sgd)
  (weight, gradient, momentum, size, rate, momentum_factor, decay, nesterov);
}

}  // namespace renas::cpu
#endif
