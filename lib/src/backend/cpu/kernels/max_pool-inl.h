// The backward pass of maximum pools. The gradient of an output goes to the first of the largest
// that its window meets:
//
//   for each input row: the largest of each window's columns, and in which of them it lies
//   for each output row: the largest of those rows, and the place of it in the window
//   for each input row that no later window meets: the gradients of the outputs whose place it is
//
// Per-target toggle of Highway: included once for each instruction set.
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

/// The largest so far, and where it lies.
template <class V>
struct Largest {
  V value;
  V place;
  HWY_INLINE void meet(V v, V at) {
    const auto larger = hn::Gt(v, value);
    value = hn::IfThenElse(larger, v, value);
    place = hn::IfThenElse(larger, at, place);
  }
};

template <class Tag>
HWY_INLINE Largest<hn::Vec<Tag>> nothing_yet(Tag tag) {
  return {hn::Set(tag, -std::numeric_limits<float>::infinity()), hn::Zero(tag)};
}

/// For each output column the first of the largest in the window's part of one row.
template <class Tag>
HWY_INLINE void largest_in_row(Tag tag, const PoolArgs& args, const Runs& runs, const float* shown,
                               float* largest, float* columns) {
  const auto step = static_cast<std::size_t>(args.in.map.channels);
  for (const Run& run : runs) {
    const int first = run.from + args.window.left - run.to * args.window.stride;
    const float* from = shown + static_cast<std::size_t>(run.from) * step;
    std::size_t to = static_cast<std::size_t>(run.to) * step;
    const std::size_t from_step = static_cast<std::size_t>(runs.from_step) * step;
    with_count(run.count, [&](auto known) HWY_ATTR {
      const int count = known == 0 ? run.count : known;
      for (int p = 0; p < run.pixels; ++p, to += step, from += from_step) {
        for (std::size_t c = 0; c < step; c += hn::Lanes(tag)) {
          auto best = nothing_yet(tag);
#pragma GCC unroll 4
          for (int k = 0; k < count; ++k) {
            best.meet(load(tag, from + static_cast<std::size_t>(k) * step + c),
                      hn::Set(tag, static_cast<float>(first + k)));
          }
          store(best.value, tag, largest + to + c);
          store(best.place, tag, columns + to + c);
        }
      }
    });
  }
}

/// Joins the rows of one output row: where in its window the first of the largest lies.
template <class Tag>
HWY_INLINE void place_row(Tag tag, const PoolArgs& args, const PoolPlan& plan, int y) {
  const Span rows = rows_of(args, y);
  const auto size =
      static_cast<std::size_t>(args.out.map.width) * static_cast<std::size_t>(args.in.map.channels);
  float* to = plan.places + plan.slot(y);
  with_count(rows.count(), [&](auto known) HWY_ATTR {
    const int count = known == 0 ? rows.count() : known;
    std::size_t slots[known + 1] = {};
    for (int r = 0; r < known; ++r) slots[r] = plan.slot(rows.at + r);
    for (std::size_t i = 0; i < size; i += hn::Lanes(tag)) {
      auto best = nothing_yet(tag);
#pragma GCC unroll 4
      for (int r = 0; r < count; ++r) {
        const std::size_t at = (known == 0 ? plan.slot(rows.at + r) : slots[r]) + i;
        const auto row = hn::Set(tag, static_cast<float>((rows.first + r) * args.window.width));
        best.meet(load(tag, plan.ring + at), hn::Add(row, load(tag, plan.columns + at)));
      }
      store(best.place, tag, to + i);
    }
  });
}

/// Adds to input row iy what output row y has for it: to each pixel the gradients of the outputs
/// whose largest lies there. `places` and `gradient`: of the output row.
template <class Tag, class T>
HWY_INLINE void gather_row(Tag tag, const PoolArgs& args, const Runs& runs, int iy, int y,
                           const float* places, const T* gradient, float* row) {
  const WindowArgs& w = args.window;
  const auto step = static_cast<std::size_t>(args.in.map.channels);
  const std::size_t to_step = static_cast<std::size_t>(runs.to_step) * step;
  const int first_place = (iy + w.top - y * w.stride) * w.width;
  for (const Run& run : runs) {
    const int last_column = run.to + w.left - run.from * w.stride;
    std::size_t from = static_cast<std::size_t>(run.from) * step;
    float* to = row + static_cast<std::size_t>(run.to) * step;
    with_count(run.count, [&](auto known) HWY_ATTR {
      const int count = known == 0 ? run.count : known;
      for (int p = 0; p < run.pixels; ++p, from += step, to += to_step) {
        for (std::size_t c = 0; c < step; c += hn::Lanes(tag)) {
          auto sum = load(tag, to + c);
#pragma GCC unroll 4
          for (int k = 0; k < count; ++k) {
            const std::size_t at = from + static_cast<std::size_t>(k) * step + c;
            const auto place =
                hn::Set(tag, static_cast<float>(first_place + last_column - k * w.stride));
            const auto here = hn::Eq(load(tag, places + at), place);
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
  const auto step = static_cast<std::size_t>(in.channels);
  const std::size_t row_in = static_cast<std::size_t>(in.width) * step;
  const std::size_t row_out = static_cast<std::size_t>(out.width) * step;
  const PoolPlan plan(args, scratch);
  const Runs outputs = output_runs(args, plan.output_runs);
  const Runs inputs = input_runs(args, plan.input_runs);
  for (int n = first; n < last; ++n) {
    const std::size_t from = static_cast<std::size_t>(n) * in.size();
    const T* gradient = gradients + static_cast<std::size_t>(n) * out.size();
    int seen = 0;
    int given = 0;
    for (int y = 0; y < out.height; ++y) {
      const Span rows = rows_of(args, y);
      for (seen = std::max(seen, rows.at); seen < rows.at + rows.count(); ++seen) {
        show_row(tag, args, from + static_cast<std::size_t>(seen) * row_in, plan.across);
        largest_in_row(tag, args, outputs, plan.across, plan.ring + plan.slot(seen),
                       plan.columns + plan.slot(seen));
      }
      place_row(tag, args, plan, y);
      // Input rows that no later window covers.
      const int ready =
          y + 1 == out.height ? in.height : std::min(in.height, (y + 1) * w.stride - w.top);
      for (; given < ready; ++given) {
        std::memset(plan.across, 0, row_in * sizeof(float));
        const Covering covering = rows_over(args, given);
        for (int over = covering.at; over <= covering.last; ++over) {
          gather_row(tag, args, inputs, given, over, plan.places + plan.slot(over),
                     gradient + static_cast<std::size_t>(over) * row_out, plan.across);
        }
        const std::size_t at = from + static_cast<std::size_t>(given) * row_in;
        give_pixels(tag, args.in, {at, static_cast<std::size_t>(in.width), 0, step}, plan.across,
                    step);
      }
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace renas::cpu
HWY_AFTER_NAMESPACE();

#endif  // RENAS_MAX_POOL_INL_H_
