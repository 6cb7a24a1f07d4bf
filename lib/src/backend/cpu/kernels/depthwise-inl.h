// Depthwise convolution of blocked rows: forward (and, with flipped weights, the data gradient) and
// the weight gradient. Per-target toggle, see vector-inl.h.
#if defined(RENAS_DEPTHWISE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef RENAS_DEPTHWISE_INL_H_
#undef RENAS_DEPTHWISE_INL_H_
#else
#define RENAS_DEPTHWISE_INL_H_
#endif

#include "backend/cpu/kernels/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace renas::cpu {
namespace HWY_NAMESPACE {

/// The input rows under each row of a kernel; nullptr where the window leaves the map.
struct InputRows {
  static constexpr int kMax = 64;
  const float* row[kMax];
  int count = 0;
  int first = 0;  // all rows outside [first, last) are nullptr
  int last = 0;
  bool whole = false;        // no row is nullptr; a strided gradient has gaps between its rows
  std::ptrdiff_t start = 0;  // added to each row: the block's offset, and the window's first pixel

  HWY_INLINE void add(const float* r) {
    row[count] = r;
    if (r != nullptr) {
      if (last == 0) first = count;
      last = count + 1;
    }
    whole = (count == 0 || whole) && r != nullptr;
    ++count;
  }
};

/// The columns of a kernel of width KW that are used: FIRST, FIRST + EVERY, ...
template <int KW, int FIRST = 0, int EVERY = 1>
struct Taps {
  static constexpr int kWidth = KW;
  static constexpr int kFirst = FIRST;
  static constexpr int kEvery = EVERY;
  static constexpr int kCount = (KW - FIRST + EVERY - 1) / EVERY;
};

/// Adds one kernel row's products to X outputs in registers. Each input vector is loaded once and
/// used for every output whose window covers it.
template <class T, int STRIDE, int X>
HWY_INLINE void row_sums(const float* p, const float* w, V (&acc)[X]) {
#pragma GCC unroll 32
  for (int j = 0; j < (X - 1) * STRIDE + T::kCount; ++j) {
    const V v = load(p + j * kBlock);
#pragma GCC unroll 8
    for (int o = 0; o < X; ++o) {
      const int s = j - o * STRIDE;
      if (s < 0 || s >= T::kCount) continue;
      acc[o] = hn::MulAdd(load(w + (T::kFirst + s * T::kEvery) * kBlock), v, acc[o]);
    }
  }
}

template <class T, int STRIDE, int X, class Sink>
HWY_INLINE void row_block(const InputRows& rows, const float* w, int& x, int width, int lane,
                          const Sink& sink) {
  for (; x + X <= width; x += X) {
    const std::ptrdiff_t from = rows.start + std::ptrdiff_t{x} * STRIDE * kBlock + lane;
    V acc[X];
#pragma GCC unroll 8
    for (int o = 0; o < X; ++o) acc[o] = zero();
    if (T::kCount <= 3 && rows.whole && rows.count == T::kWidth) {
      // The rows of a small square kernel follow without branches.
#pragma GCC unroll 4
      for (int r = 0; r < T::kWidth; ++r) {
        row_sums<T, STRIDE, X>(rows.row[r] + from, w + r * T::kWidth * kBlock + lane, acc);
      }
    } else {
      for (int r = rows.first; r < rows.last; ++r) {
        if (rows.row[r] == nullptr) continue;
        row_sums<T, STRIDE, X>(rows.row[r] + from, w + r * T::kWidth * kBlock + lane, acc);
      }
    }
    sink.put(acc, x, lane);
  }
}

template <class T, int STRIDE, class Sink>
HWY_NOINLINE void fast_row(const InputRows& rows, const float* w, int width, const Sink& sink) {
  for (int lane = 0; lane < kBlock; lane += kLanes) {
    int x = 0;
    // Widths of 224 / 2^k leave remainders so short that each output would wait for its own sum.
    if (width % 7 == 0) row_block<T, STRIDE, 7>(rows, w, x, width, lane, sink);
    row_block<T, STRIDE, 8>(rows, w, x, width, lane, sink);
    row_block<T, STRIDE, 4>(rows, w, x, width, lane, sink);
    row_block<T, STRIDE, 2>(rows, w, x, width, lane, sink);
    row_block<T, STRIDE, 1>(rows, w, x, width, lane, sink);
  }
}

/// Computes X neighbouring outputs at a time of an atrous convolution of stride 1. Their windows do
/// not overlap where the dilation is large, so each output loads its own inputs; the weights are
/// loaded once for all.
template <int KW, int X, class Sink>
HWY_INLINE void atrous_block(const InputRows& rows, const float* w, int dilation, int& x, int width,
                             int lane, const Sink& sink) {
  for (; x + X <= width; x += X) {
    V acc[X];
#pragma GCC unroll 8
    for (int o = 0; o < X; ++o) acc[o] = zero();
    for (int r = rows.first; r < rows.last; ++r) {
      if (rows.row[r] == nullptr) continue;
      const float* p = rows.row[r] + rows.start + std::ptrdiff_t{x} * kBlock + lane;
#pragma GCC unroll 8
      for (int s = 0; s < KW; ++s, p += std::ptrdiff_t{dilation} * kBlock) {
        const V weight = load(w + (r * KW + s) * kBlock + lane);
#pragma GCC unroll 8
        for (int o = 0; o < X; ++o) acc[o] = hn::MulAdd(weight, load(p + o * kBlock), acc[o]);
      }
    }
    sink.put(acc, x, lane);
  }
}

template <int KW, class Sink>
HWY_NOINLINE void atrous_row(const InputRows& rows, const float* w, int dilation, int width,
                             const Sink& sink) {
  for (int lane = 0; lane < kBlock; lane += kLanes) {
    int x = 0;
    atrous_block<KW, 8>(rows, w, dilation, x, width, lane, sink);
    atrous_block<KW, 4>(rows, w, dilation, x, width, lane, sink);
    atrous_block<KW, 2>(rows, w, dilation, x, width, lane, sink);
    atrous_block<KW, 1>(rows, w, dilation, x, width, lane, sink);
  }
}

/// A row of outputs for any kernel width, stride and dilation.
template <class Sink>
HWY_NOINLINE void any_row(const InputRows& rows, const float* w, int kernel_width, int stride,
                          int dilation, int width, const Sink& sink) {
  for (int lane = 0; lane < kBlock; lane += kLanes) {
    for (int x = 0; x < width; ++x) {
      V acc = zero();
      for (int r = 0; r < rows.count; ++r) {
        if (rows.row[r] == nullptr) continue;
        const float* p =
            rows.row[r] + rows.start + static_cast<std::ptrdiff_t>(x) * stride * kBlock + lane;
        for (int s = 0; s < kernel_width; ++s) {
          acc = hn::MulAdd(load(w + (r * kernel_width + s) * kBlock + lane),
                           load(p + static_cast<std::ptrdiff_t>(s) * dilation * kBlock), acc);
        }
      }
      const V one[1] = {acc};
      sink.put(one, x, lane);
    }
  }
}

/// Computes one row of `width` outputs and passes some at a time to sink.put(values, first column,
/// lane offset in the block). w: [kh][kw][kBlock].
template <class Sink>
HWY_INLINE void depthwise_row(const InputRows& rows, const float* w, int kernel_width, int stride,
                              int dilation, int width, const Sink& sink) {
  if (dilation == 1 && stride == 1) {
    if (kernel_width == 3) return fast_row<Taps<3>, 1>(rows, w, width, sink);
    if (kernel_width == 5) return fast_row<Taps<5>, 1>(rows, w, width, sink);
    if (kernel_width == 7) return fast_row<Taps<7>, 1>(rows, w, width, sink);
  }
  if (dilation == 1 && stride == 2) {
    if (kernel_width == 3) return fast_row<Taps<3>, 2>(rows, w, width, sink);
    if (kernel_width == 5) return fast_row<Taps<5>, 2>(rows, w, width, sink);
    if (kernel_width == 7) return fast_row<Taps<7>, 2>(rows, w, width, sink);
  }
  if (dilation > 1 && stride == 1) {
    if (kernel_width == 3) return atrous_row<3>(rows, w, dilation, width, sink);
    if (kernel_width == 5) return atrous_row<5>(rows, w, dilation, width, sink);
    if (kernel_width == 7) return atrous_row<7>(rows, w, dilation, width, sink);
  }
  any_row(rows, w, kernel_width, stride, dilation, width, sink);
}

/// A row of the data gradient of a strided convolution. Input column x gets the gradients of those
/// output columns o for which s = x + left - o * stride is a column of the kernel. `rows` of output
/// gradients and `w` are in the order of the flipped kernel; a row's column 0 lies `lead` pixels
/// after its start, with zeros around the row.
struct GradientRow {
  InputRows& rows;
  const float* w;
  int kernel_width;
  int stride;
  int dilation;
  int left;
  int lead;
  int width_out;
};

/// Computes every second pixel of a gradient row of stride 2. Input columns with x + left even meet
/// the kernel's columns 0, 2, ...; those with x + left odd meet columns 1, 3, ...
template <int KW, int ODD, class Sink>
HWY_INLINE void parity_row(const GradientRow& row, int width, const Sink& sink) {
  using T = Taps<KW, ODD, 2>;
  const int q = (row.left - ODD + 1) / 2;  // the last output that covers the first such x
  const int x = 2 * q + ODD - row.left;
  const std::ptrdiff_t start = row.rows.start;
  row.rows.start += std::ptrdiff_t{row.lead + q - (T::kCount - 1)} * kBlock;
  fast_row<T, 1>(row.rows, row.w, (width - x + 1) / 2, sink.every_second(x));
  row.rows.start = start;
}

/// A gradient row for any kernel width, stride and dilation.
template <class Sink>
HWY_NOINLINE void any_gradient_row(const GradientRow& row, int width, const Sink& sink) {
  for (int lane = 0; lane < kBlock; lane += kLanes) {
    for (int x = 0; x < width; ++x) {
      V acc = zero();
      for (int s = 0; s < row.kernel_width; ++s) {
        const int at = x + row.left - (row.kernel_width - 1 - s) * row.dilation;
        if (at < 0 || at % row.stride != 0 || at / row.stride >= row.width_out) continue;
        const std::ptrdiff_t from =
            row.rows.start + std::ptrdiff_t{row.lead + at / row.stride} * kBlock + lane;
        for (int r = 0; r < row.rows.count; ++r) {
          if (row.rows.row[r] == nullptr) continue;
          acc = hn::MulAdd(load(row.w + (r * row.kernel_width + s) * kBlock + lane),
                           load(row.rows.row[r] + from), acc);
        }
      }
      const V one[1] = {acc};
      sink.put(one, x, lane);
    }
  }
}

template <int KW, class Sink>
HWY_INLINE void parity_rows(const GradientRow& row, int width, const Sink& sink) {
  parity_row<KW, 0>(row, width, sink);
  parity_row<KW, 1>(row, width, sink);
}

template <class Sink>
HWY_INLINE void strided_gradient_row(const GradientRow& row, int width, const Sink& sink) {
  if (row.stride == 2 && row.dilation == 1 && row.left >= 0) {
    if (row.kernel_width == 3) return parity_rows<3>(row, width, sink);
    if (row.kernel_width == 5) return parity_rows<5>(row, width, sink);
    if (row.kernel_width == 7) return parity_rows<7>(row, width, sink);
  }
  any_gradient_row(row, width, sink);
}

/// Adds U outputs' share to R kernel rows of the weight gradient in registers. An input vector is
/// loaded once for all U.
template <int KW, int STRIDE, int R, int U>
HWY_INLINE void weight_steps(const float*& gradient, const float* (&at)[R], int& x, int width,
                             V (&acc)[R][KW]) {
  for (; x + U <= width; x += U) {
    V g[U];
#pragma GCC unroll 4
    for (int u = 0; u < U; ++u) g[u] = load(gradient + u * kBlock);
    gradient += U * kBlock;
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
HWY_NOINLINE void weight_rows(const float* gradient, const float* const* rows, std::ptrdiff_t start,
                              int width, float* out) {
  for (int lane = 0; lane < kBlock; lane += kLanes) {
    V acc[R][KW];
    const float* at[R];
#pragma GCC unroll 3
    for (int r = 0; r < R; ++r) {
      at[r] = rows[r] + start + lane;
#pragma GCC unroll 8
      for (int s = 0; s < KW; ++s) acc[r][s] = load(out + (r * KW + s) * kBlock + lane);
    }
    const float* g = gradient + lane;
    int x = 0;
    weight_steps<KW, STRIDE, R, 4>(g, at, x, width, acc);
    weight_steps<KW, STRIDE, R, 1>(g, at, x, width, acc);
#pragma GCC unroll 3
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
      for (int s = 0; s < KW; ++s) store(acc[r][s], out + (r * KW + s) * kBlock + lane);
    }
  }
}

template <int KW, int STRIDE, int R>
HWY_INLINE void fast_weights(const float* gradient, const InputRows& rows, int width, float* out) {
  int r = rows.first;
  for (; r + R <= rows.last; r += R) {
    weight_rows<KW, STRIDE, R>(gradient, rows.row + r, rows.start, width, out + r * KW * kBlock);
  }
  for (; r < rows.last; ++r) {
    weight_rows<KW, STRIDE, 1>(gradient, rows.row + r, rows.start, width, out + r * KW * kBlock);
  }
}

/// As weight_rows(), of an atrous convolution of stride 1.
template <int KW, int R>
HWY_NOINLINE void atrous_weight_rows(const float* gradient, const float* const* rows,
                                     std::ptrdiff_t start, int dilation, int width, float* out) {
  const std::ptrdiff_t step = std::ptrdiff_t{dilation} * kBlock;
  for (int lane = 0; lane < kBlock; lane += kLanes) {
    V acc[R][KW];
    const float* at[R];
#pragma GCC unroll 3
    for (int r = 0; r < R; ++r) {
      at[r] = rows[r] + start + lane;
#pragma GCC unroll 8
      for (int s = 0; s < KW; ++s) acc[r][s] = load(out + (r * KW + s) * kBlock + lane);
    }
    const float* g = gradient + lane;
    for (int x = 0; x < width; ++x, g += kBlock) {
      const V v = load(g);
#pragma GCC unroll 3
      for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
        for (int s = 0; s < KW; ++s) {
          acc[r][s] = hn::MulAdd(v, load(at[r] + s * step), acc[r][s]);
        }
        at[r] += kBlock;
      }
    }
#pragma GCC unroll 3
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
      for (int s = 0; s < KW; ++s) store(acc[r][s], out + (r * KW + s) * kBlock + lane);
    }
  }
}

template <int KW, int R>
HWY_INLINE void atrous_weights(const float* gradient, const InputRows& rows, int dilation,
                               int width, float* out) {
  int r = rows.first;
  while (r < rows.last) {
    bool all = r + R <= rows.last;
    for (int i = r; all && i < r + R; ++i) all = rows.row[i] != nullptr;
    float* to = out + r * KW * kBlock;
    if (all) {
      atrous_weight_rows<KW, R>(gradient, rows.row + r, rows.start, dilation, width, to);
    } else if (rows.row[r] != nullptr) {
      atrous_weight_rows<KW, 1>(gradient, rows.row + r, rows.start, dilation, width, to);
    }
    r += all ? R : 1;
  }
}

/// Adds one output row's share of the weight gradient to out [kh][kw][kBlock].
HWY_INLINE void depthwise_weights(const float* gradient, const InputRows& rows, int kernel_width,
                                  int stride, int dilation, int width, float* out) {
  if (dilation == 1 && stride == 1) {
    if (kernel_width == 3) return fast_weights<3, 1, 3>(gradient, rows, width, out);
    if (kernel_width == 5) return fast_weights<5, 1, 2>(gradient, rows, width, out);
    if (kernel_width == 7) return fast_weights<7, 1, 1>(gradient, rows, width, out);
  }
  if (dilation == 1 && stride == 2) {
    if (kernel_width == 3) return fast_weights<3, 2, 3>(gradient, rows, width, out);
    if (kernel_width == 5) return fast_weights<5, 2, 2>(gradient, rows, width, out);
    if (kernel_width == 7) return fast_weights<7, 2, 1>(gradient, rows, width, out);
  }
  if (dilation > 1 && stride == 1) {
    if (kernel_width == 3) return atrous_weights<3, 3>(gradient, rows, dilation, width, out);
    if (kernel_width == 5) return atrous_weights<5, 2>(gradient, rows, dilation, width, out);
    if (kernel_width == 7) return atrous_weights<7, 1>(gradient, rows, dilation, width, out);
  }
  for (int r = 0; r < rows.count; ++r) {
    if (rows.row[r] == nullptr) continue;
    for (int s = 0; s < kernel_width; ++s) {
      for (int lane = 0; lane < kBlock; lane += kLanes) {
        float* to = out + (r * kernel_width + s) * kBlock + lane;
        V acc = load(to);
        for (int x = 0; x < width; ++x) {
          const std::ptrdiff_t column = std::ptrdiff_t{x} * stride + std::ptrdiff_t{s} * dilation;
          acc = hn::MulAdd(load(gradient + x * kBlock + lane),
                           load(rows.row[r] + rows.start + column * kBlock + lane), acc);
        }
        store(acc, to);
      }
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace renas::cpu
HWY_AFTER_NAMESPACE();

#endif  // RENAS_DEPTHWISE_INL_H_
