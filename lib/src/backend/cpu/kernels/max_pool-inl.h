// The backward pass of maximum pools. An output's gradient goes to the first maximum of its window:
//
//   for each input row: the maximum over each window's columns, and the column it lies in
//   for each output row: the maximum over those rows, and its position in the window
//   for each input row that no later window covers: the gradients of the outputs whose maximum is
//   there
//
// Highway's per-target toggle: the file is included once for each instruction set.
#if defined(RENAS_MAX_POOL_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef RENAS_MAX_POOL_INL_H_
#undef RENAS_MAX_POOL_INL_H_
#else
#define RENAS_MAX_POOL_INL_H_
#endif

#include <cstring>

#include "backend/cpu/kernels/pool-inl.h"

HWY_BEFORE_NAMESPACE();
namespace renas::cpu {
namespace HWY_NAMESPACE {

/// The maximum so far and its position. Among equals the first one stays.
template <class V>
struct Maximum {
  V value;
  V position;
  HWY_INLINE void update(V v, V at) {
    const auto larger = hn::Gt(v, value);
    value = hn::IfThenElse(larger, v, value);
    position = hn::IfThenElse(larger, at, position);
  }
};

template <class Tag>
HWY_INLINE Maximum<hn::Vec<Tag>> no_maximum(Tag tag) {
  return {hn::Set(tag, -std::numeric_limits<float>::infinity()), hn::Zero(tag)};
}

/// For each output column, finds the first maximum of the window's part in one input row.
template <class Tag>
HWY_INLINE void maxima_in_row(Tag tag, const PoolArgs& args, const WindowRuns& runs,
                              const float* activated, float* maxima, float* columns) {
  const std::size_t step = args.in.map.channels;
  for (const WindowRun& run : runs) {
    const int first = run.from + args.window.left - run.to * args.window.stride_width;
    const float* from = activated + run.from * step;
    std::size_t to = run.to * step;
    const std::size_t from_step = runs.from_step * step;
    with_count(run.count, [&](auto known) HWY_ATTR {
      const int count = known == 0 ? run.count : known;
      for (int p = 0; p < run.pixels; ++p, to += step, from += from_step) {
        for (std::size_t c = 0; c < step; c += hn::Lanes(tag)) {
          auto best = no_maximum(tag);
#pragma GCC unroll 4
          for (int k = 0; k < count; ++k) {
            best.update(load(tag, from + k * step + c),
                        hn::Set(tag, static_cast<float>(first + k)));
          }
          store(best.value, tag, maxima + to + c);
          store(best.position, tag, columns + to + c);
        }
      }
    });
  }
}

/// For each output of row y, finds the position in its window of the first maximum.
template <class Tag>
HWY_INLINE void locate_maxima(Tag tag, const PoolArgs& args, const PoolPlan& plan, int y) {
  const WindowSpan rows = rows_of(args, y);
  const auto size = static_cast<std::size_t>(args.out.map.width) * args.in.map.channels;
  float* to = plan.places + plan.slot(y);
  with_count(rows.count(), [&](auto known) HWY_ATTR {
    const int count = known == 0 ? rows.count() : known;
    std::size_t slots[known + 1] = {};
    for (int r = 0; r < known; ++r) slots[r] = plan.slot(rows.at + r);
    for (std::size_t i = 0; i < size; i += hn::Lanes(tag)) {
      auto best = no_maximum(tag);
#pragma GCC unroll 4
      for (int r = 0; r < count; ++r) {
        const std::size_t at = (known == 0 ? plan.slot(rows.at + r) : slots[r]) + i;
        const auto row = hn::Set(tag, static_cast<float>((rows.first + r) * args.window.width));
        best.update(load(tag, plan.ring + at), hn::Add(row, load(tag, plan.columns + at)));
      }
      store(best.position, tag, to + i);
    }
  });
}

/// Adds to input row iy what it gets from output row y: each pixel gets the gradients of the
/// outputs whose maximum it is. `places` and `gradient` belong to the output row.
template <class Tag, class T>
HWY_INLINE void gather_row(Tag tag, const PoolArgs& args, const WindowRuns& runs, int iy, int y,
                           const float* places, const T* gradient, float* row) {
  const WindowArgs& w = args.window;
  const std::size_t step = args.in.map.channels;
  const std::size_t to_step = runs.to_step * step;
  const int first_place = (iy + w.top - y * w.stride_height) * w.width;
  for (const WindowRun& run : runs) {
    const int last_column = run.to + w.left - run.from * w.stride_width;
    std::size_t from = run.from * step;
    float* to = row + run.to * step;
    with_count(run.count, [&](auto known) HWY_ATTR {
      const int count = known == 0 ? run.count : known;
      for (int p = 0; p < run.pixels; ++p, from += step, to += to_step) {
        for (std::size_t c = 0; c < step; c += hn::Lanes(tag)) {
          auto sum = load(tag, to + c);
#pragma GCC unroll 4
          for (int k = 0; k < count; ++k) {
            const std::size_t at = from + k * step + c;
            const auto position =
                hn::Set(tag, static_cast<float>(first_place + last_column - k * w.stride_width));
            const auto here = hn::Eq(load(tag, places + at), position);
            sum = hn::Add(sum, hn::IfThenElseZero(here, load(tag, gradient + at)));
          }
          store(sum, tag, to + c);
        }
      }
    });
  }
}

template <class Tag, class T>
HWY_INLINE void max_backward(Tag tag, const PoolArgs& args, int first, int last, float* scratch,
                             const T* gradients) {
  const Map& in = args.in.map;
  const Map& out = args.out.map;
  const WindowArgs& w = args.window;
  const std::size_t step = in.channels;
  const std::size_t row_in = in.row();
  const std::size_t row_out = out.row();
  const PoolPlan plan(args, scratch);
  const WindowRuns outputs = output_runs(args, plan.output_runs);
  const WindowRuns inputs = input_runs(args, plan.input_runs);
  for (int n = first; n < last; ++n) {
    const std::size_t from = n * in.size();
    const T* gradient = gradients + n * out.size();
    int loaded = 0;
    int done = 0;
    for (int y = 0; y < out.height; ++y) {
      const WindowSpan rows = rows_of(args, y);
      for (loaded = std::max(loaded, rows.at); loaded < rows.at + rows.count(); ++loaded) {
        activate_row(tag, args, from + loaded * row_in, plan.across);
        maxima_in_row(tag, args, outputs, plan.across, plan.ring + plan.slot(loaded),
                      plan.columns + plan.slot(loaded));
      }
      locate_maxima(tag, args, plan, y);
      // Input rows below `ready` are covered by no later window.
      const int ready =
          y + 1 == out.height ? in.height : std::min(in.height, (y + 1) * w.stride_height - w.top);
      for (; done < ready; ++done) {
        std::memset(plan.across, 0, row_in * sizeof(float));
        const CoveringOutputs covering = rows_over(args, done);
        for (int over = covering.at; over <= covering.last; ++over) {
          gather_row(tag, args, inputs, done, over, plan.places + plan.slot(over),
                     gradient + over * row_out, plan.across);
        }
        const std::size_t at = from + done * row_in;
        store_gradient_pixels(tag, args.in, {at, static_cast<std::size_t>(in.width), 0, step},
                              plan.across, step);
      }
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace renas::cpu
HWY_AFTER_NAMESPACE();

#endif  // RENAS_MAX_POOL_INL_H_
