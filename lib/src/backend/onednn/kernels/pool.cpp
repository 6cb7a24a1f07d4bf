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
          // ReLU and a normalisation of positive scale keep the order, but scales may be negative.
          V result = args.max ? hn::Set(d, -std::numeric_limits<float>::infinity()) : zero();
          for (int r = 0; r < rows.count(); ++r) {
            const float* p = corner + static_cast<std::size_t>(r * in.width) * step + c;
            if (args.max) {
              for (int s = 0; s < columns.count(); ++s, p += step) {
                result = hn::Max(result, show(args.in, load(p), c));
              }
            } else {
              for (int s = 0; s < columns.count(); ++s, p += step) {
                result = hn::Add(result, show(args.in, load(p), c));
              }
            }
          }
          store(args.max ? result : hn::Mul(result, share), to + c);
        }
      }
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
};

/// One picture's mean pool, as seen from each input pixel. `shares` has room for one output map.
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
  std::size_t at = static_cast<std::size_t>(n) * in.size();
  for (int iy = 0; iy < in.height; ++iy) {
    const Covering rows(iy, w.height, w.stride, w.top, out.height);
    for (int ix = 0; ix < in.width; ++ix, at += step) {
      const Covering columns(ix, w.width, w.stride, w.left, out.width);
      for (int c = 0; c < in.channels; c += kLanes) {
        V sum = zero();
        for (int y = rows.first; y <= rows.last; ++y) {
          const float* p =
              shares + static_cast<std::size_t>(y * out.width + columns.first) * step + c;
          for (int x = columns.first; x <= columns.last; ++x, p += step)
            sum = hn::Add(sum, load(p));
        }
        const V shown = args.in.relu ? show(args.in, load(args.in.data + at + c), c) : zero();
        give(args.in, sum, shown, at + static_cast<std::size_t>(c));
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
  return std::max(args.in.map.size(), args.out.map.size());
}

void pool_forward(const PoolArgs& args, int first, int last, float* scratch) {
  HWY_DYNAMIC_DISPATCH(pool_forward)(args, first, last, scratch);
}

void pool_backward(const PoolArgs& args, int first, int last, float* scratch) {
  HWY_DYNAMIC_DISPATCH(pool_backward)(args, first, last, scratch);
}

}  // namespace renas::onednn
#endif
