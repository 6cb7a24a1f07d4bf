#include <algorithm>
#include <cstring>
#include <limits>

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
HWY_INLINE void show_row(const Source& s, const float* from, float* to) {
  const auto step = static_cast<std::size_t>(s.map.channels);
  const std::size_t size = static_cast<std::size_t>(s.map.width) * step;
  const V floor = s.relu ? zero() : hn::Set(d, -std::numeric_limits<float>::infinity());
  for (std::size_t c = 0; c < step; c += kLanes) {
    const V scale = s.scale == nullptr ? hn::Set(d, 1.0F) : load(s.scale + c);
    const V shift = s.scale == nullptr ? zero() : load(s.shift + c);
    for (std::size_t i = c; i < size; i += step) {
      // In this order x86 returns a NaN as it is.
      store(hn::Max(floor, hn::MulAdd(scale, load(from + i), shift)), to + i);
    }
  }
}

template <bool MAX>
HWY_INLINE V joined(V a, V b) {
  return MAX ? hn::Max(a, b) : hn::Add(a, b);
}

/// to[i] = the sum or maximum of from[k * step + i], k in [0, count).
template <bool MAX>
HWY_INLINE void join_rows(const float* from, std::size_t step, int count, std::size_t size,
                          float* to) {
  for (std::size_t i = 0; i < size; i += kLanes) {
    V v = load(from + i);
    for (int k = 1; k < count; ++k)
      v = joined<MAX>(v, load(from + static_cast<std::size_t>(k) * step + i));
    store(v, to + i);
  }
}

/// Rows are joined first, then columns: a window of k x k costs 2 k steps, not k^2. `scratch`: the
/// picture as the pool sees it, and a row.
template <bool MAX>
void pool_picture(const PoolArgs& args, int n, float* scratch) {
  const Map& in = args.in.map;
  const Map& out = args.out.map;
  const auto step = static_cast<std::size_t>(in.channels);
  const std::size_t row = static_cast<std::size_t>(in.width) * step;
  const float* from = args.in.data + static_cast<std::size_t>(n) * in.size();
  float* to = args.out.data + static_cast<std::size_t>(n) * out.size();
  float* column_wise = scratch + in.size();
  int seen = 0;
  for (int y = 0; y < out.height; ++y) {
    const Span rows = rows_of(args, y);
    for (; seen < rows.at + rows.count(); ++seen) {
      const std::size_t at = static_cast<std::size_t>(seen) * row;
      show_row(args.in, from + at, scratch + at);
    }
    join_rows<MAX>(scratch + static_cast<std::size_t>(rows.at) * row, row, rows.count(), row,
                   column_wise);
    for (int x = 0; x < out.width; ++x, to += step) {
      const Span columns = columns_of(args, x);
      join_rows<MAX>(column_wise + static_cast<std::size_t>(columns.at) * step, step,
                     columns.count(), step, to);
      if (MAX) continue;
      const V share = hn::Set(d, 1.0F / static_cast<float>(rows.count() * columns.count()));
      for (std::size_t c = 0; c < step; c += kLanes) store(hn::Mul(share, load(to + c)), to + c);
    }
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

/// One picture's mean pool, as seen from each input pixel, rows first. `shares` has room for one
/// output map and a row.
void mean_backward_picture(const PoolArgs& args, int n, float* shares) {
  const Map& in = args.in.map;
  const Map& out = args.out.map;
  const auto step = static_cast<std::size_t>(in.channels);
  const float* gradient = args.out.gradient + static_cast<std::size_t>(n) * out.size();
  std::size_t i = 0;
  for (int y = 0; y < out.height; ++y) {
    const int rows = rows_of(args, y).count();
    for (int x = 0; x < out.width; ++x) {
      const V share = hn::Set(d, 1.0F / static_cast<float>(rows * columns_of(args, x).count()));
      for (int c = 0; c < out.channels; c += kLanes, i += kLanes) {
        store(hn::Mul(share, load(gradient + i)), shares + i);
      }
    }
  }
  const WindowArgs& w = args.window;
  const std::size_t row = static_cast<std::size_t>(out.width) * step;
  float* column_wise = shares + out.size();
  std::size_t at = static_cast<std::size_t>(n) * in.size();
  for (int iy = 0; iy < in.height; ++iy) {
    const Covering rows(iy, w.height, w.stride, w.top, out.height);
    if (rows.count() > 0) {
      join_rows<false>(shares + static_cast<std::size_t>(rows.first) * row, row, rows.count(), row,
                       column_wise);
    }
    for (int ix = 0; ix < in.width; ++ix, at += step) {
      const Covering columns(ix, w.width, w.stride, w.left, out.width);
      const int count = rows.count() > 0 ? columns.count() : 0;
      for (int c = 0; c < in.channels; c += kLanes) {
        const float* p = column_wise + static_cast<std::size_t>(columns.first) * step + c;
        V sum = zero();
        for (int k = 0; k < count; ++k, p += step) sum = hn::Add(sum, load(p));
        const std::size_t to = at + static_cast<std::size_t>(c);
        const V shown = args.in.relu ? show(args.in, load(args.in.data + to), c) : zero();
        give(args.in, sum, shown, to);
      }
    }
  }
}

/// One picture's maximum pool: the gradient goes to the first of the largest.
HWY_INLINE void max_backward_picture(const PoolArgs& args, int n, float* scratch) {
  const Map& in = args.in.map;
  const Map& out = args.out.map;
  const auto step = static_cast<std::size_t>(in.channels);
  std::memset(scratch, 0, in.size() * sizeof(float));
  const std::size_t begin = static_cast<std::size_t>(n) * in.size();
  const float* gradient = args.out.gradient + static_cast<std::size_t>(n) * out.size();
  for (int y = 0; y < out.height; ++y) {
    const Span rows = rows_of(args, y);
    for (int x = 0; x < out.width; ++x, gradient += out.channels) {
      const Span columns = columns_of(args, x);
      const std::size_t corner = static_cast<std::size_t>(rows.at * in.width + columns.at) * step;
      for (int c = 0; c < in.channels; c += kLanes) {
        V best = hn::Set(d, -std::numeric_limits<float>::infinity());
        V place = zero();
        for (int r = 0; r < rows.count(); ++r) {
          for (int s = 0; s < columns.count(); ++s) {
            const std::size_t at = corner + static_cast<std::size_t>(r * in.width + s) * step +
                                   static_cast<std::size_t>(c);
            const V v = show(args.in, load(args.in.data + begin + at), c);
            const auto larger = hn::Gt(v, best);
            best = hn::IfThenElse(larger, v, best);
            place = hn::IfThenElse(
                larger, hn::Set(d, static_cast<float>(r * args.window.width + s)), place);
          }
        }
        const V g = load(gradient + c);
        for (int r = 0; r < rows.count(); ++r) {
          for (int s = 0; s < columns.count(); ++s) {
            float* to = scratch + corner + static_cast<std::size_t>(r * in.width + s) * step + c;
            const auto here =
                hn::Eq(place, hn::Set(d, static_cast<float>(r * args.window.width + s)));
            store(hn::Add(load(to), hn::IfThenElseZero(here, g)), to);
          }
        }
      }
    }
  }
  for (std::size_t p = 0; p < in.size(); p += step) {
    for (int c = 0; c < in.channels; c += kLanes) {
      const std::size_t at = begin + p + static_cast<std::size_t>(c);
      give(args.in, load(scratch + p + c), show(args.in, load(args.in.data + at), c), at);
    }
  }
}

void pool_backward(const PoolArgs& args, int first, int last, float* scratch) {
  if (args.in.gradient == nullptr) return;
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
  return std::max(args.in.map.size(), args.out.map.size()) + row;
}

void pool_forward(const PoolArgs& args, int first, int last, float* scratch) {
  HWY_DYNAMIC_DISPATCH(pool_forward)(args, first, last, scratch);
}

void pool_backward(const PoolArgs& args, int first, int last, float* scratch) {
  HWY_DYNAMIC_DISPATCH(pool_backward)(args, first, last, scratch);
}

}  // namespace renas::onednn
#endif
