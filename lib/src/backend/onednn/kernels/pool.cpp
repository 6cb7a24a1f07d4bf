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

void pool_forward(const PoolArgs& args, int first, int last, float*) {
  const Map& in = args.in.map;
  const Map& out = args.out.map;
  const auto step = static_cast<std::size_t>(in.channels);
  for (int n = first; n < last; ++n) {
    const float* from = args.in.data + static_cast<std::size_t>(n) * in.size();
    float* to = args.out.data + static_cast<std::size_t>(n) * out.size();
    for (int y = 0; y < out.height; ++y) {
      const Span rows = rows_of(args, y);
      for (int x = 0; x < out.width; ++x, to += out.channels) {
        const Span columns = columns_of(args, x);
        const float* corner =
            from + static_cast<std::size_t>(rows.at * in.width + columns.at) * step;
        const V share = hn::Set(d, 1.0F / static_cast<float>(rows.count() * columns.count()));
        for (int c = 0; c < in.channels; c += kLanes) {
          V result = args.max ? hn::Set(d, -std::numeric_limits<float>::infinity()) : zero();
          for (int r = 0; r < rows.count(); ++r) {
            const float* p = corner + static_cast<std::size_t>(r * in.width) * step + c;
            for (int s = 0; s < columns.count(); ++s, p += step) {
              const V v = show(args.in, load(p), c);
              result = args.max ? hn::Max(result, v) : hn::Add(result, v);
            }
          }
          store(args.max ? result : hn::Mul(result, share), to + c);
        }
      }
    }
  }
}

/// One picture's mean pool, as seen from each input pixel.
HWY_INLINE void mean_backward_picture(const PoolArgs& args, int n) {
  const Map& in = args.in.map;
  const Map& out = args.out.map;
  const float* gradient = args.out.gradient + static_cast<std::size_t>(n) * out.size();
  std::size_t at = static_cast<std::size_t>(n) * in.size();
  const int stride = args.window.stride;
  // Outputs whose window covers input i: (i + padding - kernel) / stride < out <= (i + padding) /
  // stride.
  const auto covering = [stride](int i, int kernel, int padding, int size, int& from, int& to) {
    const int low = i + padding - kernel + 1;
    from = low <= 0 ? 0 : (low + stride - 1) / stride;
    to = std::min(size - 1, (i + padding) / stride);
  };
  for (int iy = 0; iy < in.height; ++iy) {
    int y0 = 0;
    int y1 = 0;
    covering(iy, args.window.height, args.window.top, out.height, y0, y1);
    for (int ix = 0; ix < in.width; ++ix, at += static_cast<std::size_t>(in.channels)) {
      int x0 = 0;
      int x1 = 0;
      covering(ix, args.window.width, args.window.left, out.width, x0, x1);
      for (int c = 0; c < in.channels; c += kLanes) {
        V sum = zero();
        for (int y = y0; y <= y1; ++y) {
          const int rows = rows_of(args, y).count();
          for (int x = x0; x <= x1; ++x) {
            const V share =
                hn::Set(d, 1.0F / static_cast<float>(rows * columns_of(args, x).count()));
            const float* g = gradient +
                             static_cast<std::size_t>(y * out.width + x) *
                                 static_cast<std::size_t>(out.channels) +
                             c;
            sum = hn::MulAdd(share, load(g), sum);
          }
        }
        give(args.in, sum, show(args.in, load(args.in.data + at + c), c),
             at + static_cast<std::size_t>(c));
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
      mean_backward_picture(args, n);
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

std::size_t pool_scratch(const PoolArgs& args) { return args.in.map.size(); }

void pool_forward(const PoolArgs& args, int first, int last, float* scratch) {
  HWY_DYNAMIC_DISPATCH(pool_forward)(args, first, last, scratch);
}

void pool_backward(const PoolArgs& args, int first, int last, float* scratch) {
  HWY_DYNAMIC_DISPATCH(pool_backward)(args, first, last, scratch);
}

}  // namespace renas::onednn
#endif
