#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/pool.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h:
#include "backend/cpu/kernels/max_pool-inl.h"
#include "backend/cpu/kernels/pool-inl.h"

HWY_BEFORE_NAMESPACE();
namespace renas::cpu {
namespace HWY_NAMESPACE {

template <bool MAX, class V>
HWY_INLINE V combine(V a, V b) {
  return MAX ? hn::Max(a, b) : hn::Add(a, b);
}

/// The rows or pixels that one result combines: `step` floats apart, from number `first` of a ring
/// buffer of `ring` on.
struct StridedRows {
  const float* data;
  std::size_t step;
  int first = 0;
  int ring = 1 << 30;
  HWY_INLINE const float* operator[](int k) const {
    const int at = first + k < ring ? first + k : first + k - ring;
    return data + at * step;
  }
};

/// Combines from[k][i] over k: to[i] = their sum times `share`, or their maximum, for i in [0,
/// size). It does so `pixels` times, moving `to` on by to_step and `from` by from_step. COUNT is
/// the number of k; 0: it is `count`.
template <bool MAX, int COUNT, class Tag, class T>
HWY_INLINE void combine_n(Tag tag, const StridedRows& from, int count, float share,
                          std::size_t size, T* to, int pixels, std::size_t from_step,
                          std::size_t to_step) {
  for (int p = 0; p < pixels; ++p, to += to_step) {
    const std::size_t begin = p * from_step;
    const float* row[COUNT + 1];
#pragma GCC unroll 4
    for (int k = 0; k < COUNT; ++k) row[k] = from[k] + begin;
    for (std::size_t i = 0; i < size; i += hn::Lanes(tag)) {
      auto v = load(tag, COUNT == 0 ? from[0] + begin + i : row[0] + i);
#pragma GCC unroll 4
      for (int k = 1; k < (COUNT == 0 ? count : COUNT); ++k) {
        v = combine<MAX>(v, load(tag, COUNT == 0 ? from[k] + begin + i : row[k] + i));
      }
      store(MAX ? v : hn::Mul(hn::Set(tag, share), v), tag, to + i);
    }
  }
}

template <bool MAX, class Tag, class T>
HWY_INLINE void combine_all(Tag tag, const StridedRows& from, int count, float share,
                            std::size_t size, T* to, int pixels = 1, std::size_t from_step = 0,
                            std::size_t to_step = 0) {
  with_count(count, [&](auto known) HWY_ATTR {
    combine_n<MAX, known>(tag, from, count, share, size, to, pixels, from_step, to_step);
  });
}

/// Combines the pixels of `row`, `step` floats each, as the runs say. A sum is multiplied by
/// `share`, and also divided by the number of pixels if `average`.
template <bool MAX, class Tag, class T>
HWY_INLINE void combine_runs(Tag tag, const WindowRuns& runs, const float* row, std::size_t step,
                             float share, bool average, T* to) {
  for (const WindowRun& run : runs) {
    T* t = to + run.to * step;
    const StridedRows from{row + run.from * step, step};
    const float part = average ? share / static_cast<float>(run.count) : share;
    if (run.count == 0) {
      for (int p = 0; p < run.pixels; ++p) {
        std::memset(t + p * runs.to_step * step, 0, step * sizeof(T));
      }
    } else if (runs.from_step == 1 && runs.to_step == 1) {
      combine_all<MAX>(tag, from, run.count, part, run.pixels * step, t);
    } else {
      combine_all<MAX>(tag, from, run.count, part, step, t, run.pixels, runs.from_step * step,
                       runs.to_step * step);
    }
  }
}

/// Combines rows [first, first + count) of the ring buffer, `size` floats of each.
template <bool MAX, class Tag>
HWY_INLINE void combine_rows(Tag tag, const PoolPlan& plan, int first, int count,
                             std::size_t size) {
  const int rows = plan.window_rows;
  combine_all<MAX>(tag, {plan.ring, plan.row, first % rows, rows}, count, 1.0F, size,
                   plan.combined_rows);
}

/// Pools images [first, last). Rows are combined before columns, so that a window of k x k costs 2
/// k steps instead of k^2.
template <bool MAX, class Tag, class T>
HWY_INLINE void pool_images(Tag tag, const PoolArgs& args, int first, int last, float* scratch,
                            T* to) {
  const Map& in = args.in.map;
  const Map& out = args.out.map;
  const std::size_t step = in.channels;
  const std::size_t row = in.row();
  const std::size_t row_out = out.row();
  const PoolPlan plan(args, scratch);
  const WindowRuns runs = output_runs(args, plan.output_runs);
  to += first * out.size();
  for (int n = first; n < last; ++n) {
    int loaded = 0;
    for (int y = 0; y < out.height; ++y, to += row_out) {
      const WindowSpan rows = rows_of(args, y);
      for (loaded = std::max(loaded, rows.at); loaded < rows.at + rows.count(); ++loaded) {
        activate_row(tag, args, n * in.size() + loaded * row, plan.ring + plan.slot(loaded));
      }
      combine_rows<MAX>(tag, plan, rows.at, rows.count(), row);
      combine_runs<MAX>(tag, runs, plan.combined_rows, step,
                        1.0F / static_cast<float>(rows.count()), true, to);
    }
  }
}

void pool_forward(const PoolArgs& args, int first, int last, float* scratch) {
  with_pool_tag(args, [&](auto tag) HWY_ATTR {
    typed(args.out.data, [&](auto* to) HWY_ATTR {
      if (args.max) {
        pool_images<true>(tag, args, first, last, scratch, to);
      } else {
        pool_images<false>(tag, args, first, last, scratch, to);
      }
    });
  });
}

/// Divides each gradient of an output row by the number of pixels that the output averages: by the
/// columns of its window, and by the rows, which `share` = 1 / rows stands for.
template <class Tag, class T>
HWY_INLINE void share_row(Tag tag, const WindowRuns& runs, const T* gradient, std::size_t step,
                          float share, float* to) {
  for (const WindowRun& run : runs) {
    const auto part = hn::Set(tag, share / static_cast<float>(run.count));
    const std::size_t begin = run.to * step;
    const std::size_t end = begin + run.pixels * step;
    for (std::size_t i = begin; i < end; i += hn::Lanes(tag)) {
      store(hn::Mul(part, load(tag, gradient + i)), tag, to + i);
    }
  }
}

/// The backward pass of average pools: each input pixel sums the shares of the outputs that cover
/// it, rows first. Each output's gradient is divided once.
template <class Tag, class T>
HWY_INLINE void average_backward(Tag tag, const PoolArgs& args, int first, int last, float* scratch,
                                 const T* gradients) {
  const Map& in = args.in.map;
  const Map& out = args.out.map;
  const std::size_t step = in.channels;
  const std::size_t row_in = in.row();
  const std::size_t row_out = out.row();
  const PoolPlan plan(args, scratch);
  const WindowRuns outputs = output_runs(args, plan.output_runs);
  const WindowRuns inputs = input_runs(args, plan.input_runs);
  for (int n = first; n < last; ++n) {
    const T* gradient = gradients + n * out.size();
    int shared = 0;
    for (int iy = 0; iy < in.height; ++iy) {
      const CoveringOutputs rows = rows_over(args, iy);
      for (shared = std::max(shared, rows.at); shared <= rows.last; ++shared) {
        const float part = 1.0F / static_cast<float>(rows_of(args, shared).count());
        share_row(tag, outputs, gradient + shared * row_out, step, part,
                  plan.ring + plan.slot(shared));
      }
      if (rows.count() > 0) {
        combine_rows<false>(tag, plan, rows.at, rows.count(), row_out);
        combine_runs<false>(tag, inputs, plan.combined_rows, step, 1.0F, false, plan.across);
      } else {
        std::memset(plan.across, 0, row_in * sizeof(float));
      }
      const std::size_t at = n * in.size() + iy * row_in;
      store_gradient_pixels(tag, args.in, {at, static_cast<std::size_t>(in.width), 0, step},
                            plan.across, step);
    }
  }
}

void pool_backward(const PoolArgs& args, int first, int last, float* scratch) {
  if (!args.in.gradient) return;
  with_pool_tag(args, [&](auto tag) HWY_ATTR {
    typed(args.out.gradient, [&](auto* gradients) HWY_ATTR {
      if (args.max) {
        max_backward(tag, args, first, last, scratch, gradients);
      } else {
        average_backward(tag, args, first, last, scratch, gradients);
      }
    });
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace renas::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace renas::cpu {

HWY_EXPORT(pool_forward);
HWY_EXPORT(pool_backward);

std::size_t pool_scratch(const PoolArgs& args) { return PoolPlan(args, nullptr).size; }

void pool_forward(const PoolArgs& args, int first, int last, float* scratch) {
  HWY_DYNAMIC_DISPATCH(pool_forward)(args, first, last, scratch);
}

void pool_backward(const PoolArgs& args, int first, int last, float* scratch) {
  HWY_DYNAMIC_DISPATCH(pool_backward)(args, first, last, scratch);
}

}  // namespace renas::cpu
#endif
