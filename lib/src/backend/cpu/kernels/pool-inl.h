// What all pools share: the pixels that their windows cover, and activated rows.
// Highway's per-target toggle: the file is included once for each instruction set.
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

/// The part of a window that lies on the map, along one axis: kernel positions [first, last), the
/// first of which covers pixel `at`.
struct WindowSpan {
  int first;
  int last;
  int at;
  WindowSpan(int out, int kernel, int stride, int padding, int size) {
    const int begin = out * stride - padding;
    first = std::max(0, -begin);
    last = std::min(kernel, size - begin);
    at = begin + first;
  }
  int count() const { return std::max(0, last - first); }
};

HWY_INLINE WindowSpan rows_of(const PoolArgs& a, int y) {
  return {y, a.window.height, a.window.stride_height, a.window.top, a.in.map.height};
}
HWY_INLINE WindowSpan columns_of(const PoolArgs& a, int x) {
  return {x, a.window.width, a.window.stride_width, a.window.left, a.in.map.width};
}

/// The outputs whose windows cover input i, along one axis: `at`, ..., `last`.
struct CoveringOutputs {
  int at;
  int last;
  CoveringOutputs(int i, int kernel, int stride, int padding, int size) {
    const int low = i + padding - kernel + 1;
    at = low <= 0 ? 0 : (low + stride - 1) / stride;
    last = std::min(size - 1, (i + padding) / stride);
  }
  int count() const { return std::max(0, last - at + 1); }
};

HWY_INLINE CoveringOutputs rows_over(const PoolArgs& a, int iy) {
  return {iy, a.window.height, a.window.stride_height, a.window.top, a.out.map.height};
}
HWY_INLINE CoveringOutputs columns_over(const PoolArgs& a, int ix) {
  return {ix, a.window.width, a.window.stride_width, a.window.left, a.out.map.width};
}

/// The runs of a row (see WindowRun). The next pixel of a run lies `to_step` pixels on, and what
/// its window covers `from_step` pixels on.
struct WindowRuns {
  const WindowRun* first;
  const WindowRun* last;
  int to_step;
  int from_step;
  const WindowRun* begin() const { return first; }
  const WindowRun* end() const { return last; }
};

/// Finds the runs of `width` pixels. `memory` has room for as many; span(pixel) has `at` and
/// count().
template <class WindowOf>
HWY_INLINE WindowRuns make_runs(int width, int to_step, int from_step, const WindowOf& span,
                                WindowRun* memory) {
  WindowRun* last = memory;
  for (int phase = 0; phase < to_step; ++phase) {
    WindowRun* begin = last;
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
  return {memory, last, to_step, from_step};
}

/// Runs of output pixels, with the input pixels that each window covers.
HWY_INLINE WindowRuns output_runs(const PoolArgs& args, WindowRun* memory) {
  return make_runs(
      args.out.map.width, 1, args.window.stride_width, [&](int x) { return columns_of(args, x); },
      memory);
}
/// Runs of input pixels, with the outputs whose windows cover each.
HWY_INLINE WindowRuns input_runs(const PoolArgs& args, WindowRun* memory) {
  return make_runs(
      args.in.map.width, args.window.stride_width, 1, [&](int x) { return columns_over(args, x); },
      memory);
}

/// Calls work(tag) with a pool's vectors: the widest, except for average pools of floats. Those
/// were slower by whole cache lines than by half lines (bin/bench/BENCHMARKS.md).
template <class Work>
HWY_INLINE void with_pool_tag(const PoolArgs& args, const Work& work) {
  if (!args.in.data.is_bf16() && !args.max) return work(d);
  with_tag(args.in.map.channels, work);
}

/// Calls work(count) with the count as a compile-time constant where it is common, otherwise with
/// 0. Loops over a constant count are unrolled.
template <class Work>
HWY_INLINE void with_count(int count, const Work& work) {
  if (count == 3) return work(std::integral_constant<int, 3>());
  if (count == 2) return work(std::integral_constant<int, 2>());
  if (count == 1) return work(std::integral_constant<int, 1>());
  work(std::integral_constant<int, 0>());
}

/// Activates a row of the input, which begins at offset `at`.
template <class Tag>
HWY_INLINE void activate_row(Tag tag, const PoolArgs& args, std::size_t at, float* to) {
  const InputView& s = args.in;
  const std::size_t step = s.map.channels;
  const std::size_t row = s.map.row();
  const float* const end = to + row;
  const Activation activated(s);
  typed(s.data, [&](auto* from) HWY_ATTR {
    for (from += at; to < end; from += step, to += step) {
      // With a stride of 1, prefetching took more time than it saved.
      if (args.window.stride_width > 1) {
        for (std::size_t c = 0; c < step; c += 64 / sizeof(*from)) {
          __builtin_prefetch(from + 2 * row + c, 0, 2);
        }
      }
      for (std::size_t c = 0; c < step; c += hn::Lanes(tag)) {
        store(activated(tag, load(tag, from + c), c), tag, to + c);
      }
    }
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace renas::cpu
HWY_AFTER_NAMESPACE();

#endif  // RENAS_POOL_INL_H_
