#include <algorithm>
#include <cstring>
#include <limits>

#include "backend/onednn/kernels/max_plan.h"

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

/// `pixels` times: to[i] = the sum, times `share`, or the maximum of from[k * step + i], k in
/// [0, COUNT), i in [0, size); then `to` goes on by size, `from` by `gap`. COUNT 0: as many as
/// `count` says.
template <bool MAX, int COUNT>
HWY_INLINE void join_some(const float* from, std::size_t step, int count, float share,
                          std::size_t size, float* to, int pixels, std::size_t gap) {
  const V factor = hn::Set(d, share);
  for (; pixels > 0; --pixels, from += gap, to += size) {
    for (std::size_t i = 0; i < size; i += kLanes) {
      V v = load(from + i);
#pragma GCC unroll 4
      for (int k = 1; k < (COUNT == 0 ? count : COUNT); ++k)
        v = joined<MAX>(v, load(from + static_cast<std::size_t>(k) * step + i));
      store(MAX ? v : hn::Mul(factor, v), to + i);
    }
  }
}

template <bool MAX>
HWY_INLINE void join(const float* from, std::size_t step, int count, float share, std::size_t size,
                     float* to, int pixels = 1, std::size_t gap = 0) {
  if (count == 3) return join_some<MAX, 3>(from, step, count, share, size, to, pixels, gap);
  if (count == 2) return join_some<MAX, 2>(from, step, count, share, size, to, pixels, gap);
  join_some<MAX, 0>(from, step, count, share, size, to, pixels, gap);
}

/// Outputs whose windows lie on the map as a whole, along one axis: [first, last).
struct Inner {
  int first;
  int last;
  Inner(int kernel, int stride, int padding, int size, int outputs) {
    first = padding <= 0 ? 0 : (padding + stride - 1) / stride;
    const int room = size + padding - kernel;  // where the last of them may begin
    last = room < 0 ? 0 : std::min(outputs, room / stride + 1);
    first = std::min(first, last);
  }
};

/// Rows are joined first, then columns: a window of k x k costs 2 k steps, not k^2. `scratch`: the
/// picture as the pool sees it, and two rows.
template <bool MAX>
void pool_picture(const PoolArgs& args, int n, float* scratch) {
  const Map& in = args.in.map;
  const Map& out = args.out.map;
  const WindowArgs& w = args.window;
  const auto step = static_cast<std::size_t>(in.channels);
  const std::size_t row = static_cast<std::size_t>(in.width) * step;
  const std::size_t from = static_cast<std::size_t>(n) * in.size();
  const std::size_t row_out = static_cast<std::size_t>(out.width) * step;
  float* column_wise = scratch + in.size();
  float* room = column_wise + row;
  const Inner inner(w.width, w.stride, w.left, in.width, out.width);
  int seen = 0;
  for (int y = 0; y < out.height; ++y) {
    const std::size_t to_at =
        static_cast<std::size_t>(n) * out.size() + static_cast<std::size_t>(y) * row_out;
    float* to = tile_of(args.out, to_at, room);
    const Span rows = rows_of(args, y);
    for (seen = std::max(seen, rows.at); seen < rows.at + rows.count(); ++seen) {
      const std::size_t at = static_cast<std::size_t>(seen) * row;
      show_row(args.in, from + at, scratch + at);
    }
    const float share = 1.0F / static_cast<float>(rows.count());
    join<MAX>(scratch + static_cast<std::size_t>(rows.at) * row, row, rows.count(), share, row,
              column_wise);
    const auto join_columns = [&](int x, int pixels) HWY_ATTR {
      const Span columns = columns_of(args, x);
      const float part = 1.0F / static_cast<float>(columns.count());
      const float* p = column_wise + static_cast<std::size_t>(columns.at) * step;
      float* t = to + static_cast<std::size_t>(x) * step;
      if (w.stride == 1) {
        join<MAX>(p, step, columns.count(), part, static_cast<std::size_t>(pixels) * step, t);
      } else {
        join<MAX>(p, step, columns.count(), part, step, t, pixels,
                  static_cast<std::size_t>(w.stride) * step);
      }
    };
    for (int x = 0; x < inner.first; ++x) join_columns(x, 1);
    if (inner.first < inner.last) join_columns(inner.first, inner.last - inner.first);
    for (int x = inner.last; x < out.width; ++x) join_columns(x, 1);
    store_tile(args.out, to_at, static_cast<std::size_t>(out.width), to);
  }
}

void pool_forward(const PoolArgs& args, int first, int last, float* scratch) {
  for (int n = first; n < last; ++n) {
    if (args.max) {
      pool_picture<true>(args, n, scratch);
    } else {
      pool_picture<false>(args, n, scratch);
    }
  }
}

/// Outputs whose window covers input i, first to last.
struct Covering {
  int first;
  int last;
  Covering(int i, int kernel, int stride, int padding, int size) {
    const int low = i + padding - kernel + 1;
    first = low <= 0 ? 0 : (low + stride - 1) / stride;
    last = std::min(size - 1, (i + padding) / stride);
  }
  int count() const { return last - first + 1; }
};

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
    if (in_place) return;
    typed(source.gradient, [&](auto* gradient) HWY_ATTR {
      using T = std::remove_pointer_t<decltype(gradient)>;
      const T* data = source.data.as<T>() + at;
      const auto step = static_cast<std::size_t>(source.map.channels);
      gradient += at;
      for (std::size_t i = 0; i < size;) {
        for (std::size_t c = 0; c < step; c += kLanes, i += kLanes) {
          const V shown = source.relu ? show(source, load(data + i), static_cast<int>(c)) : zero();
          give(source, load(to + i), shown, gradient + i);
        }
      }
    });
  }
};

/// One picture's mean pool, as seen from each input pixel, rows first. `scratch` has room for one
/// output map and two rows.
void mean_backward_picture(const PoolArgs& args, int n, float* scratch) {
  const Map& in = args.in.map;
  const Map& out = args.out.map;
  const WindowArgs& w = args.window;
  const auto step = static_cast<std::size_t>(in.channels);
  const std::size_t row = static_cast<std::size_t>(out.width) * step;
  float* shares = scratch;
  typed(args.out.gradient, [&](auto* gradient) HWY_ATTR {
    gradient += static_cast<std::size_t>(n) * out.size();
    for (int y = 0; y < out.height; ++y) {
      const float rows = static_cast<float>(rows_of(args, y).count());
      for (int x = 0; x < out.width; ++x) {
        const V share = hn::Set(d, 1.0F / (rows * static_cast<float>(columns_of(args, x).count())));
        for (std::size_t c = 0; c < step; c += kLanes, gradient += kLanes, shares += kLanes) {
          store(hn::Mul(share, load(gradient)), shares);
        }
      }
    }
  });
  float* column_wise = shares;
  float* by_row = column_wise + row;
  for (int iy = 0; iy < in.height; ++iy) {
    const Covering rows(iy, w.height, w.stride, w.top, out.height);
    const GatheredRow gathered(args.in, n, iy, by_row);
    if (rows.count() > 0) {
      join<false>(scratch + static_cast<std::size_t>(rows.first) * row, row, rows.count(), 1.0F,
                  row, column_wise);
      for (int s = 0; s < w.width; ++s) {
        over_reach(args, s, [&](std::size_t o, std::size_t i) HWY_ATTR {
          store(hn::Add(load(gathered.to + i), load(column_wise + o)), gathered.to + i);
        });
      }
    }
    gathered.give_to(args.in);
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
  const Covering rows(iy, w.height, w.stride, w.top, args.out.map.height);
  for (int y = rows.first; y <= rows.last; ++y) {
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
  for (int n = first; n < last; ++n) {
    if (args.max) {
      max_backward_picture(args, n, scratch);
    } else {
      mean_backward_picture(args, n, scratch);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace renas::onednn
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace renas::onednn {

HWY_EXPORT(pool_forward);
HWY_EXPORT(pool_backward);

std::size_t pool_scratch(const PoolArgs& args) {
  const std::size_t row =
      static_cast<std::size_t>(std::max(args.in.map.width, args.out.map.width)) *
      static_cast<std::size_t>(args.in.map.channels);
  const std::size_t forward_or_mean = std::max(args.in.map.size(), args.out.map.size()) + 2 * row;
  return args.max ? std::max(forward_or_mean, MaxPlan(args).size) : forward_or_mean;
}

void pool_forward(const PoolArgs& args, int first, int last, float* scratch) {
  HWY_DYNAMIC_DISPATCH(pool_forward)(args, first, last, scratch);
}

void pool_backward(const PoolArgs& args, int first, int last, float* scratch) {
  HWY_DYNAMIC_DISPATCH(pool_backward)(args, first, last, scratch);
}

}  // namespace renas::onednn
#endif
