// What pools have in common: which pixels their windows meet, and rows as they see them.
// Per-target toggle of Highway: included once for each instruction set.
#if defined(RENAS_POOL_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef RENAS_POOL_INL_H_
#undef RENAS_POOL_INL_H_
#else
#define RENAS_POOL_INL_H_
#endif

#include <algorithm>

#include "backend/cpu/kernels/pool_plan.h"
#include "backend/cpu/kernels/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace renas::cpu {
namespace HWY_NAMESPACE {

/// The part of a window that lies on the map, along one axis: [first, last) of the kernel, and the
/// place of its first pixel.
struct Span {
  int first;
  int last;
  int at;
  Span(int out, int kernel, int stride, int padding, int size) {
    const int begin = out * stride - padding;
    first = std::max(0, -begin);
    last = std::min(kernel, size - begin);
    at = begin + first;
  }
  int count() const { return std::max(0, last - first); }
};

HWY_INLINE Span rows_of(const PoolArgs& a, int y) {
  return {y, a.window.height, a.window.stride, a.window.top, a.in.map.height};
}
HWY_INLINE Span columns_of(const PoolArgs& a, int x) {
  return {x, a.window.width, a.window.stride, a.window.left, a.in.map.width};
}

/// Outputs whose window covers input i, along one axis: `at`, ..., last.
struct Covering {
  int at;
  int last;
  Covering(int i, int kernel, int stride, int padding, int size) {
    const int low = i + padding - kernel + 1;
    at = low <= 0 ? 0 : (low + stride - 1) / stride;
    last = std::min(size - 1, (i + padding) / stride);
  }
  int count() const { return std::max(0, last - at + 1); }
};

HWY_INLINE Covering rows_over(const PoolArgs& a, int iy) {
  return {iy, a.window.height, a.window.stride, a.window.top, a.out.map.height};
}
HWY_INLINE Covering columns_over(const PoolArgs& a, int ix) {
  return {ix, a.window.width, a.window.stride, a.window.left, a.out.map.width};
}

/// How the pixels of a row join those of another. The next pixel of a run lies `to_step` pixels on,
/// what it joins `from_step`.
struct Runs {
  const Run* first;
  const Run* last;
  int to_step;
  int from_step;
  const Run* begin() const { return first; }
  const Run* end() const { return last; }
};

/// Runs of `width` pixels in `room`, which holds as many; span(pixel) has `at` and count().
template <class SpanOf>
HWY_INLINE Runs make_runs(int width, int to_step, int from_step, const SpanOf& span, Run* room) {
  Run* last = room;
  for (int phase = 0; phase < to_step; ++phase) {
    Run* begin = last;
    for (int x = phase; x < width; x += to_step) {
      const auto here = span(x);
      if (last != begin && last[-1].count == here.count() &&
          last[-1].from + last[-1].pixels * from_step == here.at) {
        ++last[-1].pixels;
      } else {
        *last++ = {x, here.at, here.count(), 1};
      }
    }
  }
  return {room, last, to_step, from_step};
}

/// Runs of output pixels: what each joins of an input row.
HWY_INLINE Runs output_runs(const PoolArgs& args, Run* room) {
  return make_runs(
      args.out.map.width, 1, args.window.stride, [&](int x) { return columns_of(args, x); }, room);
}
/// Runs of input pixels: the outputs of a row whose windows cover each.
HWY_INLINE Runs input_runs(const PoolArgs& args, Run* room) {
  return make_runs(
      args.in.map.width, args.window.stride, 1, [&](int x) { return columns_over(args, x); }, room);
}

/// Calls work(tag) with the vectors that a pool goes by: the widest, but for mean pools of floats,
/// which were slower by whole lines of the cache than by halves (bin/BENCHMARKS.md).
template <class Work>
HWY_INLINE void with_pool_tag(const PoolArgs& args, const Work& work) {
  if (!args.in.data.half() && !args.max) return work(d);
  with_tag(args.in.map.channels, work);
}

/// Calls work(count) with the count as a constant where it is common, so that loops over it vanish;
/// else with 0.
template <class Work>
HWY_INLINE void with_count(int count, const Work& work) {
  if (count == 3) return work(std::integral_constant<int, 3>());
  if (count == 2) return work(std::integral_constant<int, 2>());
  if (count == 1) return work(std::integral_constant<int, 1>());
  work(std::integral_constant<int, 0>());
}

/// A row of the map, which begins at offset `at`, as the pool sees it.
template <class Tag>
HWY_INLINE void show_row(Tag tag, const PoolArgs& args, std::size_t at, float* to) {
  const Source& s = args.in;
  const auto step = static_cast<std::size_t>(s.map.channels);
  const std::size_t row = static_cast<std::size_t>(s.map.width) * step;
  const float* const end = to + row;
  const Shown shown(s);
  typed(s.data, [&](auto* from) HWY_ATTR {
    for (from += at; to < end; from += step, to += step) {
      // With a stride of 1 asking ahead took more time than it saved.
      if (args.window.stride > 1) {
        for (std::size_t c = 0; c < step; c += 64 / sizeof(*from)) {
          __builtin_prefetch(from + 2 * row + c, 0, 2);
        }
      }
      for (std::size_t c = 0; c < step; c += hn::Lanes(tag)) {
        store(shown(tag, load(tag, from + c), c), tag, to + c);
      }
    }
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace renas::cpu
HWY_AFTER_NAMESPACE();

#endif  // RENAS_POOL_INL_H_
