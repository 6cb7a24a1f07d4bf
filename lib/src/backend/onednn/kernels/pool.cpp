#include <algorithm>
#include <cstring>
#include <limits>

#include "backend/onednn/kernels/pool_plan.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/onednn/kernels/pool.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h:
#include "backend/onednn/kernels/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace renas::onednn {
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
  int count() const { return last - first; }
};

HWY_INLINE Span rows_of(const PoolArgs& a, int y) {
  return {y, a.window.height, a.window.stride, a.window.top, a.in.map.height};
}
HWY_INLINE Span columns_of(const PoolArgs& a, int x) {
  return {x, a.window.width, a.window.stride, a.window.left, a.in.map.width};
}

/// A row of the map as the pool sees it.
template <class T>
HWY_INLINE void show_row(const Source& s, const T* from, float* to) {
  const auto step = static_cast<std::size_t>(s.map.channels);
  const std::size_t size = static_cast<std::size_t>(s.map.width) * step;
  const V floor = floor_of(s);
  if (s.scale == nullptr) {
    for (std::size_t i = 0; i < size; i += kLanes) store(hn::Max(floor, load(from + i)), to + i);
    return;
  }
  for (std::size_t i = 0; i < size;) {
    for (std::size_t c = 0; c < step; c += kLanes, i += kLanes) {
      // In this order x86 returns a NaN as it is.
      store(hn::Max(floor, hn::MulAdd(load(s.scale + c), load(from + i), load(s.shift + c))),
            to + i);
    }
  }
}

/// The same of a row that begins at offset `at`.
HWY_INLINE void show_row(const Source& s, std::size_t at, float* to) {
  typed(s.data, [&](auto* data) HWY_ATTR { show_row(s, data + at, to); });
}

template <bool MAX>
HWY_INLINE V joined(V a, V b) {
  return MAX ? hn::Max(a, b) : hn::Add(a, b);
}

/// Pixels side by side that join equally many others: pixel `to` those from `from` on, the next of
/// the run those from the next on.
struct Run {
  int to;
  int from;
  int count;
  int pixels;
};

/// How the pixels of a row join those of another. The next pixel of a run lies `to_step` pixels on,
/// what it joins `from_step`.
struct Runs {
  const Run* first;
  const Run* last;
  int to_step;
  int from_step;
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

/// What is joined: rows or pixels `step` apart, from number `first` of `ring` on, around it.
struct Joined {
  const float* data;
  std::size_t step;
  int first = 0;
  int ring = 1 << 30;
  HWY_INLINE const float* operator[](int k) const {
    const int at = first + k < ring ? first + k : first + k - ring;
    return data + static_cast<std::size_t>(at) * step;
  }
};

/// `pixels` times: to[i] = the sum, times `share`, or the maximum of from[k][i], k in [0, COUNT), i
/// in [0, size); then `to` goes on by to_step, `from` by from_step. COUNT 0: as many as `count`.
template <bool MAX, int COUNT, class T>
HWY_INLINE void join_some(const Joined& from, int count, float share, std::size_t size, T* to,
                          int pixels, std::size_t from_step, std::size_t to_step) {
  const V factor = hn::Set(d, share);
  for (int p = 0; p < pixels; ++p, to += to_step) {
    const std::size_t begin = static_cast<std::size_t>(p) * from_step;
    const float* row[COUNT + 1];
#pragma GCC unroll 4
    for (int k = 0; k < COUNT; ++k) row[k] = from[k] + begin;
    for (std::size_t i = 0; i < size; i += kLanes) {
      V v = load(COUNT == 0 ? from[0] + begin + i : row[0] + i);
#pragma GCC unroll 4
      for (int k = 1; k < (COUNT == 0 ? count : COUNT); ++k) {
        v = joined<MAX>(v, load(COUNT == 0 ? from[k] + begin + i : row[k] + i));
      }
      store(MAX ? v : hn::Mul(factor, v), to + i);
    }
  }
}

template <bool MAX, class T>
HWY_INLINE void join(const Joined& from, int count, float share, std::size_t size, T* to,
                     int pixels = 1, std::size_t from_step = 0, std::size_t to_step = 0) {
  if (count == 3) {
    return join_some<MAX, 3>(from, count, share, size, to, pixels, from_step, to_step);
  }
  if (count == 2) {
    return join_some<MAX, 2>(from, count, share, size, to, pixels, from_step, to_step);
  }
  if (count == 1) {
    return join_some<MAX, 1>(from, count, share, size, to, pixels, from_step, to_step);
  }
  join_some<MAX, 0>(from, count, share, size, to, pixels, from_step, to_step);
}

/// Joins the pixels of `row`, `step` numbers each, as the runs say; a sum's share is `share` over
/// their number if `mean`, else `share`.
template <bool MAX, class T>
HWY_INLINE void join_runs(const Runs& runs, const float* row, std::size_t step, float share,
                          bool mean, T* to) {
  for (const Run* run = runs.first; run != runs.last; ++run) {
    T* t = to + static_cast<std::size_t>(run->to) * step;
    const Joined from{row + static_cast<std::size_t>(run->from) * step, step};
    const float part = mean ? share / static_cast<float>(run->count) : share;
    const auto pixels = static_cast<std::size_t>(run->pixels);
    if (run->count == 0) {
      for (int p = 0; p < run->pixels; ++p) {
        std::memset(t + static_cast<std::size_t>(p * runs.to_step) * step, 0, step * sizeof(T));
      }
    } else if (runs.from_step == 1 && runs.to_step == 1) {
      join<MAX>(from, run->count, part, pixels * step, t);
    } else {
      join<MAX>(from, run->count, part, step, t, run->pixels,
                static_cast<std::size_t>(runs.from_step) * step,
                static_cast<std::size_t>(runs.to_step) * step);
    }
  }
}

/// How scratch is divided by all but the maximum's backward: a ring of rows, two rows, runs of
/// input and of output pixels.
struct PoolScratch {
  std::size_t row;
  float* ring;
  float* column_wise;
  float* across;
  Run* runs;
  HWY_INLINE PoolScratch(const PoolArgs& args, float* scratch) {
    row = widest_row(args);
    ring = scratch;
    column_wise = ring + static_cast<std::size_t>(args.window.height) * row;
    across = column_wise + row;
    runs = reinterpret_cast<Run*>(across + row);
  }
  float* ring_row(const PoolArgs& args, int y) const {
    return ring + static_cast<std::size_t>(y % args.window.height) * row;
  }
  /// Joins rows [first, first + count) of the ring.
  template <bool MAX>
  HWY_INLINE void join_rows(const PoolArgs& args, int first, int count, std::size_t size) const {
    const int rows = args.window.height;
    join<MAX>({ring, row, first % rows, rows}, count, 1.0F, size, column_wise);
  }
};

/// Runs of output pixels: what each joins of an input row.
HWY_INLINE Runs output_runs(const PoolArgs& args, Run* room) {
  return make_runs(
      args.out.map.width, 1, args.window.stride, [&](int x) { return columns_of(args, x); }, room);
}

/// Rows are joined first, then columns: a window of k x k costs 2 k steps, not k^2.
template <bool MAX, class T>
void pool_pictures(const PoolArgs& args, int first, int last, float* scratch) {
  const Map& in = args.in.map;
  const Map& out = args.out.map;
  const auto step = static_cast<std::size_t>(in.channels);
  const std::size_t row = static_cast<std::size_t>(in.width) * step;
  const std::size_t row_out = static_cast<std::size_t>(out.width) * step;
  const PoolScratch s(args, scratch);
  const Runs runs = output_runs(args, s.runs);
  T* to = args.out.data.as<T>() + static_cast<std::size_t>(first) * out.size();
  for (int n = first; n < last; ++n) {
    int seen = 0;
    for (int y = 0; y < out.height; ++y, to += row_out) {
      const Span rows = rows_of(args, y);
      for (seen = std::max(seen, rows.at); seen < rows.at + rows.count(); ++seen) {
        show_row(args.in,
                 static_cast<std::size_t>(n) * in.size() + static_cast<std::size_t>(seen) * row,
                 s.ring_row(args, seen));
      }
      s.join_rows<MAX>(args, rows.at, rows.count(), row);
      join_runs<MAX>(runs, s.column_wise, step, 1.0F / static_cast<float>(rows.count()), true, to);
    }
  }
}

template <bool MAX>
HWY_INLINE void pool_pictures(const PoolArgs& args, int first, int last, float* scratch) {
  typed(args.out.data, [&](auto* data) HWY_ATTR {
    pool_pictures<MAX, std::remove_pointer_t<decltype(data)>>(args, first, last, scratch);
  });
}

void pool_forward(const PoolArgs& args, int first, int last, float* scratch) {
  if (args.max) {
    pool_pictures<true>(args, first, last, scratch);
  } else {
    pool_pictures<false>(args, first, last, scratch);
  }
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

/// Outputs whose window has its column s on the map: [first, last), and where on the map.
struct Reach {
  int first;
  int last;
  int at;  // input column of the first
  Reach(const PoolArgs& a, int s) {
    const int begin = s - a.window.left;  // of output 0
    const int stride = a.window.stride;
    first = begin >= 0 ? 0 : (stride - 1 - begin) / stride;
    const int room = a.in.map.width - 1 - begin;
    last = room < 0 ? 0 : std::min(a.out.map.width, room / stride + 1);
    last = std::max(first, last);
    at = first * stride + begin;
  }
};

/// Calls work(output, input) with the offsets of every vector that column s of the windows meets.
template <class Work>
HWY_INLINE void over_reach(const PoolArgs& args, int s, const Work& work) {
  const auto step = static_cast<std::size_t>(args.in.map.channels);
  const Reach reach(args, s);
  std::size_t o = static_cast<std::size_t>(reach.first) * step;
  std::size_t i = static_cast<std::size_t>(reach.at) * step;
  const std::size_t end = static_cast<std::size_t>(reach.last) * step;
  if (args.window.stride == 1) {
    for (; o < end; o += kLanes, i += kLanes) work(o, i);
    return;
  }
  const std::size_t gap = (static_cast<std::size_t>(args.window.stride) - 1) * step;
  for (; o < end; i += gap) {
    for (const std::size_t next = o + step; o < next; o += kLanes, i += kLanes) work(o, i);
  }
}

/// Gives a row of gradients to the source, `size` numbers from offset `at` on.
HWY_INLINE void give_row(const Source& source, std::size_t at, std::size_t size, const float* row) {
  typed(source.gradient, [&](auto* gradient) HWY_ATTR {
    using T = std::remove_pointer_t<decltype(gradient)>;
    const T* data = source.data.as<T>() + at;
    const auto step = static_cast<std::size_t>(source.map.channels);
    gradient += at;
    for (std::size_t i = 0; i < size;) {
      for (std::size_t c = 0; c < step; c += kLanes, i += kLanes) {
        const V shown = source.relu ? show(source, load(data + i), static_cast<int>(c)) : zero();
        give(source, load(row + i), shown, gradient + i);
      }
    }
  });
}

/// Where a row of input gradients is gathered: at its place, or in `scratch` if a ReLU has a say or
/// it is stored in halves.
struct GatheredRow {
  float* to;
  std::size_t at;  // in the source
  std::size_t size;
  bool in_place;

  HWY_INLINE GatheredRow(const Source& source, int n, int iy, float* scratch) {
    size = static_cast<std::size_t>(source.map.width * source.map.channels);
    at = static_cast<std::size_t>(n) * source.map.size() + static_cast<std::size_t>(iy) * size;
    in_place = !source.relu && !source.gradient.half();
    to = in_place ? source.gradient.as<float>() + at : scratch;
    if (!in_place || !source.accumulate) std::memset(to, 0, size * sizeof(float));
  }
  HWY_INLINE void give_to(const Source& source) const {
    if (!in_place) give_row(source, at, size, to);
  }
};

/// Each output's gradient over the number of pixels that it is the mean of; `share`: over its rows.
template <class T>
HWY_INLINE void share_row(const Runs& runs, const T* gradient, std::size_t step, float share,
                          float* to) {
  for (const Run* run = runs.first; run != runs.last; ++run) {
    const V part = hn::Set(d, share / static_cast<float>(run->count));
    const std::size_t begin = static_cast<std::size_t>(run->to) * step;
    const std::size_t end = begin + static_cast<std::size_t>(run->pixels) * step;
    for (std::size_t i = begin; i < end; i += kLanes)
      store(hn::Mul(part, load(gradient + i)), to + i);
  }
}

/// Mean pools as seen from each input pixel, rows first. Each output's gradient is shared out once.
template <class T>
void mean_backward(const PoolArgs& args, int first, int last, float* scratch) {
  const Map& in = args.in.map;
  const Map& out = args.out.map;
  const auto step = static_cast<std::size_t>(in.channels);
  const std::size_t row_in = static_cast<std::size_t>(in.width) * step;
  const std::size_t row_out = static_cast<std::size_t>(out.width) * step;
  const PoolScratch s(args, scratch);
  const Runs outputs = output_runs(args, s.runs);
  const Runs inputs = make_runs(
      in.width, args.window.stride, 1, [&](int x) { return columns_over(args, x); },
      s.runs + out.width);
  for (int n = first; n < last; ++n) {
    const T* gradient = args.out.gradient.as<T>() + static_cast<std::size_t>(n) * out.size();
    int shared = 0;
    for (int iy = 0; iy < in.height; ++iy) {
      const Covering rows = rows_over(args, iy);
      for (shared = std::max(shared, rows.at); shared <= rows.last; ++shared) {
        const float part = 1.0F / static_cast<float>(rows_of(args, shared).count());
        share_row(outputs, gradient + static_cast<std::size_t>(shared) * row_out, step, part,
                  s.ring_row(args, shared));
      }
      float* to = s.across;
      if (rows.count() > 0) {
        s.join_rows<false>(args, rows.at, rows.count(), row_out);
        join_runs<false>(inputs, s.column_wise, step, 1.0F, false, to);
      } else {
        std::memset(to, 0, row_in * sizeof(float));
      }
      give_row(args.in,
               static_cast<std::size_t>(n) * in.size() + static_cast<std::size_t>(iy) * row_in,
               row_in, to);
    }
  }
}

/// For each output column the first of the largest in the window's part of one row.
HWY_INLINE void largest_in_row(const PoolArgs& args, const float* shown, float* largest,
                               float* column) {
  const auto step = static_cast<std::size_t>(args.in.map.channels);
  const V least = hn::Set(d, -std::numeric_limits<float>::infinity());
  std::size_t at = 0;
  for (int x = 0; x < args.out.map.width; ++x) {
    const V first = hn::Set(d, static_cast<float>(columns_of(args, x).first));
    for (const std::size_t end = at + step; at < end; at += kLanes) {
      store(least, largest + at);
      store(first, column + at);
    }
  }
  for (int s = 0; s < args.window.width; ++s) {
    const V here = hn::Set(d, static_cast<float>(s));
    over_reach(args, s, [&](std::size_t o, std::size_t i) HWY_ATTR {
      const V v = load(shown + i);
      const V best = load(largest + o);
      const auto larger = hn::Gt(v, best);
      store(hn::IfThenElse(larger, v, best), largest + o);
      store(hn::IfThenElse(larger, here, load(column + o)), column + o);
    });
  }
}

/// Joins the rows of one output row: where in its window the first of the largest lies.
HWY_INLINE void place_row(const PoolArgs& args, const MaxPlan& plan, int y, float* scratch) {
  const Span rows = rows_of(args, y);
  float* best = scratch + plan.best;
  float* to = scratch + plan.place + static_cast<std::size_t>(y) * plan.row_out;
  for (int r = 0; r < rows.count(); ++r) {
    const std::size_t at =
        static_cast<std::size_t>((rows.at + r) % args.window.height) * plan.row_out;
    const float* largest = scratch + plan.largest + at;
    const float* column = scratch + plan.column + at;
    const V row = hn::Set(d, static_cast<float>((rows.first + r) * args.window.width));
    if (r == 0) {
      for (std::size_t o = 0; o < plan.row_out; o += kLanes) {
        store(load(largest + o), best + o);
        store(hn::Add(row, load(column + o)), to + o);
      }
      continue;
    }
    for (std::size_t o = 0; o < plan.row_out; o += kLanes) {
      const V v = load(largest + o);
      const V before = load(best + o);
      const auto larger = hn::Gt(v, before);
      store(hn::IfThenElse(larger, v, before), best + o);
      store(hn::IfThenElse(larger, hn::Add(row, load(column + o)), load(to + o)), to + o);
    }
  }
}

/// Adds the gradient of input row iy: to each pixel that of the outputs whose largest lies there.
template <class T>
HWY_INLINE void gather_row(const PoolArgs& args, const MaxPlan& plan, int iy, const float* places,
                           const T* gradient, float* to) {
  const WindowArgs& w = args.window;
  const Covering rows = rows_over(args, iy);
  for (int y = rows.at; y <= rows.last; ++y) {
    const std::size_t at = static_cast<std::size_t>(y) * plan.row_out;
    const int r = iy + w.top - y * w.stride;
    for (int s = 0; s < w.width; ++s) {
      const V code = hn::Set(d, static_cast<float>(r * w.width + s));
      over_reach(args, s, [&](std::size_t o, std::size_t i) HWY_ATTR {
        const auto here = hn::Eq(load(places + at + o), code);
        store(hn::Add(load(to + i), hn::IfThenElseZero(here, load(gradient + at + o))), to + i);
      });
    }
  }
}

/// One picture's maximum pool: the gradient goes to the first of the largest.
HWY_INLINE void max_backward_picture(const PoolArgs& args, int n, float* scratch) {
  const Map& in = args.in.map;
  const Map& out = args.out.map;
  const WindowArgs& w = args.window;
  const MaxPlan plan(args);
  const std::size_t from = static_cast<std::size_t>(n) * in.size();
  float* shown = scratch + plan.shown;
  int seen = 0;
  int given = 0;
  for (int y = 0; y < out.height; ++y) {
    const Span rows = rows_of(args, y);
    for (seen = std::max(seen, rows.at); seen < rows.at + rows.count(); ++seen) {
      show_row(args.in, from + static_cast<std::size_t>(seen) * plan.row_in, shown);
      const std::size_t at = static_cast<std::size_t>(seen % w.height) * plan.row_out;
      largest_in_row(args, shown, scratch + plan.largest + at, scratch + plan.column + at);
    }
    place_row(args, plan, y, scratch);
    // Input rows that no later window covers.
    const int ready =
        y + 1 == out.height ? in.height : std::min(in.height, (y + 1) * w.stride - w.top);
    for (; given < ready; ++given) {
      const GatheredRow gathered(args.in, n, given, shown);
      typed(args.out.gradient, [&](auto* gradient) HWY_ATTR {
        gather_row(args, plan, given, scratch + plan.place,
                   gradient + static_cast<std::size_t>(n) * out.size(), gathered.to);
      });
      gathered.give_to(args.in);
    }
  }
}

void pool_backward(const PoolArgs& args, int first, int last, float* scratch) {
  if (!args.in.gradient) return;
  if (args.max) {
    for (int n = first; n < last; ++n) max_backward_picture(args, n, scratch);
    return;
  }
  typed(args.out.gradient, [&](auto* gradient) HWY_ATTR {
    mean_backward<std::remove_pointer_t<decltype(gradient)>>(args, first, last, scratch);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace renas::onednn
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace renas::onednn {

HWY_EXPORT(pool_forward);
HWY_EXPORT(pool_backward);

std::size_t pool_scratch(const PoolArgs& args) {
  constexpr std::size_t kRun = 4;  // numbers
  const auto pixels = static_cast<std::size_t>(args.in.map.width + args.out.map.width);
  const std::size_t rows = static_cast<std::size_t>(args.window.height + 2) * widest_row(args);
  return std::max(rows + kRun * pixels, args.max ? MaxPlan(args).size : 0);
}

void pool_forward(const PoolArgs& args, int first, int last, float* scratch) {
  HWY_DYNAMIC_DISPATCH(pool_forward)(args, first, last, scratch);
}

void pool_backward(const PoolArgs& args, int first, int last, float* scratch) {
  HWY_DYNAMIC_DISPATCH(pool_backward)(args, first, last, scratch);
}

}  // namespace renas::onednn
#endif
