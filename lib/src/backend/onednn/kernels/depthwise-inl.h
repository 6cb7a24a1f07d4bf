// Depthwise convolution of blocked rows: forward (and, with flipped weights, the data gradient) and
// the weight gradient. Per-target toggle, see vector-inl.h.
#if defined(RENAS_DEPTHWISE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef RENAS_DEPTHWISE_INL_H_
#undef RENAS_DEPTHWISE_INL_H_
#else
#define RENAS_DEPTHWISE_INL_H_
#endif

#include "backend/onednn/kernels/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace renas::onednn {
namespace HWY_NAMESPACE {

/// The rows of the map under each row of the kernel; nullptr where the window leaves the map.
struct Rows {
  static constexpr int kMax = 64;
  const float* row[kMax];
  int count = 0;
};

/// X outputs in registers; each input vector is loaded once and meets every output it belongs to.
template <int KW, int STRIDE, int X>
HWY_INLINE void row_sums(const float* p, const float* w, V (&acc)[X]) {
#pragma GCC unroll 32
  for (int j = 0; j < (X - 1) * STRIDE + KW; ++j) {
    const V v = load(p + j * kBlock);
#pragma GCC unroll 8
    for (int o = 0; o < X; ++o) {
      const int s = j - o * STRIDE;
      if (s >= 0 && s < KW) acc[o] = hn::MulAdd(load(w + s * kBlock), v, acc[o]);
    }
  }
}

template <int KW, int STRIDE, int X, class Sink>
HWY_INLINE void row_block(const Rows& rows, bool whole, int first, int last, const float* w, int& x,
                          int width, int half, const Sink& sink) {
  for (; x + X <= width; x += X) {
    const std::size_t from =
        static_cast<std::size_t>(x) * STRIDE * kBlock + static_cast<std::size_t>(half);
    V acc[X];
#pragma GCC unroll 8
    for (int o = 0; o < X; ++o) acc[o] = zero();
    if (KW <= 3 && whole) {
      // No branches between the rows of a small kernel.
#pragma GCC unroll 4
      for (int r = 0; r < KW; ++r) {
        row_sums<KW, STRIDE, X>(rows.row[r] + from, w + r * KW * kBlock + half, acc);
      }
    } else {
      for (int r = first; r < last; ++r) {
        if (rows.row[r] == nullptr) continue;
        row_sums<KW, STRIDE, X>(rows.row[r] + from, w + r * KW * kBlock + half, acc);
      }
    }
    sink.put(acc, x, half);
  }
}

template <int KW, int STRIDE, class Sink>
HWY_NOINLINE void fast_row(const Rows& rows, const float* w, int width, const Sink& sink) {
  int first = 0;
  while (first < rows.count && rows.row[first] == nullptr) ++first;
  int last = rows.count;
  while (last > first && rows.row[last - 1] == nullptr) --last;
  // A strided gradient has gaps between its rows.
  bool whole = rows.count == KW && last - first == KW;
  for (int r = first; r < last; ++r) whole = whole && rows.row[r] != nullptr;
  for (int half = 0; half < kBlock; half += kLanes) {
    int x = 0;
    row_block<KW, STRIDE, 8>(rows, whole, first, last, w, x, width, half, sink);
    row_block<KW, STRIDE, 4>(rows, whole, first, last, w, x, width, half, sink);
    row_block<KW, STRIDE, 2>(rows, whole, first, last, w, x, width, half, sink);
    row_block<KW, STRIDE, 1>(rows, whole, first, last, w, x, width, half, sink);
  }
}

/// Any kernel width, stride and dilation.
template <class Sink>
HWY_NOINLINE void any_row(const Rows& rows, const float* w, int kernel_width, int stride,
                          int dilation, int width, const Sink& sink) {
  for (int half = 0; half < kBlock; half += kLanes) {
    for (int x = 0; x < width; ++x) {
      V acc = zero();
      for (int r = 0; r < rows.count; ++r) {
        if (rows.row[r] == nullptr) continue;
        const float* p = rows.row[r] + static_cast<std::ptrdiff_t>(x) * stride * kBlock + half;
        for (int s = 0; s < kernel_width; ++s) {
          acc = hn::MulAdd(load(w + (r * kernel_width + s) * kBlock + half),
                           load(p + static_cast<std::ptrdiff_t>(s) * dilation * kBlock), acc);
        }
      }
      const V one[1] = {acc};
      sink.put(one, x, half);
    }
  }
}

/// One row of outputs, `width` of them, some at a time to sink.put(values, first column, lane
/// offset in the block). w: [kh][kw][kBlock].
template <class Sink>
HWY_INLINE void depthwise_row(const Rows& rows, const float* w, int kernel_width, int stride,
                              int dilation, int width, const Sink& sink) {
  if (dilation == 1 && stride == 1) {
    if (kernel_width == 3) return fast_row<3, 1>(rows, w, width, sink);
    if (kernel_width == 5) return fast_row<5, 1>(rows, w, width, sink);
    if (kernel_width == 7) return fast_row<7, 1>(rows, w, width, sink);
  }
  if (dilation == 1 && stride == 2) {
    if (kernel_width == 3) return fast_row<3, 2>(rows, w, width, sink);
    if (kernel_width == 5) return fast_row<5, 2>(rows, w, width, sink);
    if (kernel_width == 7) return fast_row<7, 2>(rows, w, width, sink);
  }
  any_row(rows, w, kernel_width, stride, dilation, width, sink);
}

/// R kernel rows of the weight gradient in registers; U output gradients at once, so that an input
/// vector is loaded once for all of them.
template <int KW, int STRIDE, int R, int U>
HWY_INLINE void weight_steps(const float*& gradient, std::size_t step, const float* (&at)[R],
                             int& x, int width, V (&acc)[R][KW]) {
  for (; x + U <= width; x += U) {
    V g[U];
#pragma GCC unroll 4
    for (int u = 0; u < U; ++u) g[u] = load(gradient + static_cast<std::size_t>(u) * step);
    gradient += U * step;
#pragma GCC unroll 3
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 16
      for (int j = 0; j < (U - 1) * STRIDE + KW; ++j) {
        const V v = load(at[r] + j * kBlock);
#pragma GCC unroll 4
        for (int u = 0; u < U; ++u) {
          const int s = j - u * STRIDE;
          if (s >= 0 && s < KW) acc[r][s] = hn::MulAdd(g[u], v, acc[r][s]);
        }
      }
      at[r] += U * STRIDE * kBlock;
    }
  }
}

template <int KW, int STRIDE, int R>
HWY_NOINLINE void weight_rows(const float* gradient, std::size_t step, const float* const* rows,
                              int width, float* out) {
  for (int half = 0; half < kBlock; half += kLanes) {
    V acc[R][KW];
    const float* at[R];
#pragma GCC unroll 3
    for (int r = 0; r < R; ++r) {
      at[r] = rows[r] + half;
#pragma GCC unroll 8
      for (int s = 0; s < KW; ++s) acc[r][s] = load(out + (r * KW + s) * kBlock + half);
    }
    const float* g = gradient + half;
    int x = 0;
    weight_steps<KW, STRIDE, R, 4>(g, step, at, x, width, acc);
    weight_steps<KW, STRIDE, R, 1>(g, step, at, x, width, acc);
#pragma GCC unroll 3
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
      for (int s = 0; s < KW; ++s) store(acc[r][s], out + (r * KW + s) * kBlock + half);
    }
  }
}

template <int KW, int STRIDE, int R>
HWY_INLINE void fast_weights(const float* gradient, std::size_t step, const Rows& rows, int width,
                             float* out) {
  int first = 0;
  while (first < rows.count && rows.row[first] == nullptr) ++first;
  int last = rows.count;
  while (last > first && rows.row[last - 1] == nullptr) --last;
  int r = first;
  for (; r + R <= last; r += R) {
    weight_rows<KW, STRIDE, R>(gradient, step, rows.row + r, width, out + r * KW * kBlock);
  }
  for (; r < last; ++r) {
    weight_rows<KW, STRIDE, 1>(gradient, step, rows.row + r, width, out + r * KW * kBlock);
  }
}

/// Adds one output row's share of the weight gradient to out [kh][kw][kBlock]. `gradient` has
/// `step` floats from pixel to pixel.
HWY_INLINE void depthwise_weights(const float* gradient, std::size_t step, const Rows& rows,
                                  int kernel_width, int stride, int dilation, int width,
                                  float* out) {
  if (dilation == 1 && stride == 1) {
    if (kernel_width == 3) return fast_weights<3, 1, 3>(gradient, step, rows, width, out);
    if (kernel_width == 5) return fast_weights<5, 1, 2>(gradient, step, rows, width, out);
    if (kernel_width == 7) return fast_weights<7, 1, 1>(gradient, step, rows, width, out);
  }
  if (dilation == 1 && stride == 2) {
    if (kernel_width == 3) return fast_weights<3, 2, 3>(gradient, step, rows, width, out);
    if (kernel_width == 5) return fast_weights<5, 2, 2>(gradient, step, rows, width, out);
    if (kernel_width == 7) return fast_weights<7, 2, 1>(gradient, step, rows, width, out);
  }
  for (int r = 0; r < rows.count; ++r) {
    if (rows.row[r] == nullptr) continue;
    for (int s = 0; s < kernel_width; ++s) {
      for (int half = 0; half < kBlock; half += kLanes) {
        float* to = out + (r * kernel_width + s) * kBlock + half;
        V acc = load(to);
        for (int x = 0; x < width; ++x) {
          const std::ptrdiff_t column = std::ptrdiff_t{x} * stride + std::ptrdiff_t{s} * dilation;
          acc = hn::MulAdd(load(gradient + static_cast<std::size_t>(x) * step + half),
                           load(rows.row[r] + column * kBlock + half), acc);
        }
        store(acc, to);
      }
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace renas::onednn
HWY_AFTER_NAMESPACE();

#endif  // RENAS_DEPTHWISE_INL_H_
