// Depthwise convolution of bfloat16 pairs: forward (and, with flipped weights, the data gradient)
// and the weight gradient. For one target alone, as bf16_vector-inl.h.
#ifndef RENAS_BF16_DEPTHWISE_INL_H_
#define RENAS_BF16_DEPTHWISE_INL_H_

#include "backend/cpu/kernels/bf16_separable_plan-inl.h"

RENAS_BF16_BEFORE_NAMESPACE();
namespace renas::cpu {
namespace HWY_NAMESPACE {
namespace bf16 {

/// Adds to one column of the kernels of a vector of channels.
HWY_INLINE void add_taps(V8 v, float* block, int) {
  hn::StoreU(hn::Add(hn::LoadU(d8, block), v), d8, block);
}
HWY_INLINE void add_taps(V16 v, float* block, int kernel) {
  add_taps(hn::LowerHalf(d8, v), block, kernel);
  add_taps(hn::UpperHalf(d8, v), block + kernel, kernel);
}

/// The slots of a ring buffer under each row of a kernel; -1 where the window leaves the map.
struct RingRows {
  int at[kMaxKernelRows];
  int count = 0;
  int first = 0;  // all rows outside [first, last) are -1
  int last = 0;
  int present = 0;

  HWY_INLINE void add(int slot) {
    at[count] = slot;
    if (slot >= 0) {
      if (last == 0) first = count;
      last = count + 1;
      ++present;
    }
    ++count;
  }
};

/// The input rows under output row y.
HWY_INLINE RingRows rows_under(const SeparableArgs& args, const Bf16SeparablePlan& plan, int y) {
  RingRows rows;
  for (int r = 0; r < args.window.height; ++r) {
    const int iy = y * plan.stride - args.window.top + r;
    rows.add(iy < 0 || iy >= args.in.map.height ? -1 : plan.input.slot(iy));
  }
  return rows;
}

/// The rows of output gradients over input row iy, in the order of the flipped kernel.
HWY_INLINE RingRows rows_over(const SeparableArgs& args, const Bf16SeparablePlan& plan, int iy) {
  const WindowArgs& w = args.window;
  RingRows rows;
  for (int r = 0; r < w.height; ++r) {
    const int at = iy + w.top - (w.height - 1 - r);
    const int y = at / w.stride_height;
    const bool exists = at >= 0 && at % w.stride_height == 0 && y < args.out.map.height;
    rows.add(exists ? plan.gradients.slot(y) : -1);
  }
  return rows;
}

/// Adds one kernel row's products to X times two outputs. `p` is the pairs that the first window
/// begins with, `w` the row's pairs of taps. FMA: see Bf16SeparablePlan::multiply_add.
template <class Pattern, int X, bool FMA, class D>
HWY_INLINE void add_row_products(D d, const float* p, const float* w, hn::Vec<D> (&sums)[2][X]) {
  constexpr int kLast = (X - 1) * Pattern::kStep + std::max(Pattern::first(0) + Pattern::count(0),
                                                            Pattern::first(1) + Pattern::count(1));
  constexpr int kLanes = static_cast<int>(hn::MaxLanes(D()));
  if constexpr (FMA) {
    constexpr int kColumns = Pattern::kColumns;
    hn::Vec<D> taps[kColumns];
#pragma GCC unroll 8
    for (int t = 0; t < kColumns; ++t) {
      const int at = t + Pattern::lead(0);
      const auto both = load_pairs(d, w + at / 2 * kLanes);
      taps[t] = at % 2 == 0 ? first_of(both) : second_of(both);
    }
#pragma GCC unroll 32
    for (int j = 0; j < kLast; ++j) {
      const auto v = load_pairs(d, p + j * kLanes);
      const hn::Vec<D> pixels[2] = {first_of(v), second_of(v)};
#pragma GCC unroll 2
      for (int side = 0; side < 2; ++side) {
#pragma GCC unroll 8
        for (int t = 0; t < kColumns; ++t) {
          const int in_pairs = t + Pattern::lead(side);
          const int at = j - Pattern::first(side) - in_pairs / 2;
          if (at < 0 || at % Pattern::kStep != 0 || at / Pattern::kStep >= X) continue;
          hn::Vec<D>& sum = sums[side][at / Pattern::kStep];
          sum = hn::MulAdd(pixels[in_pairs % 2], taps[t], sum);
        }
      }
    }
    return;
  }
  hn::Vec<hn::RebindToUnsigned<D>> taps[Pattern::kTaps];
#pragma GCC unroll 8
  for (int t = 0; t < Pattern::kTaps; ++t) taps[t] = load_pairs(d, w + t * kLanes);
#pragma GCC unroll 32
  for (int j = 0; j < kLast; ++j) {
    const auto v = load_pairs(d, p + j * kLanes);
#pragma GCC unroll 2
    for (int side = 0; side < 2; ++side) {
#pragma GCC unroll 4
      for (int t = 0; t < Pattern::count(side); ++t) {
        const int at = j - Pattern::first(side) - t;
        if (at < 0 || at % Pattern::kStep != 0 || at / Pattern::kStep >= X) continue;
        hn::Vec<D>& sum = sums[side][at / Pattern::kStep];
        sum = dot(sum, v, taps[Pattern::taps(side) + t]);
      }
    }
  }
}

/// Computes X times two outputs in registers, from the i-th on and as often as they fit, and passes
/// them to to.put(firsts, seconds, i). THREE: the kernel has three rows, all on the map. They are
/// written out, since the end of so short a loop would be mispredicted.
template <class Pattern, int X, bool FMA, bool THREE, class D, class To>
HWY_INLINE void row_block(D d, const RingRows& rows, const float* ring, std::size_t row,
                          const float* w, int start, int& i, int count, const To& to) {
  constexpr int kLanes = static_cast<int>(hn::MaxLanes(D()));
  constexpr int kTaps = Pattern::kTaps * kLanes;
  for (; i + X <= count; i += X) {
    hn::Vec<D> sums[2][X];
#pragma GCC unroll 8
    for (int o = 0; o < X; ++o) sums[0][o] = sums[1][o] = hn::Zero(d);
    const float* from = ring + (start + i * Pattern::kStep) * kLanes;
    const auto row_at = [&](int r) RENAS_BF16_ATTR { return from + rows.at[r] * row; };
    if constexpr (THREE) {
      add_row_products<Pattern, X, FMA>(d, row_at(0), w, sums);
      add_row_products<Pattern, X, FMA>(d, row_at(1), w + kTaps, sums);
      add_row_products<Pattern, X, FMA>(d, row_at(2), w + 2 * kTaps, sums);
    } else {
      for (int r = rows.first; r < rows.last; ++r) {
        if (rows.at[r] >= 0) add_row_products<Pattern, X, FMA>(d, row_at(r), w + r * kTaps, sums);
      }
    }
    to.put(sums[0], sums[1], i);
  }
}

template <class Pattern, bool FMA, bool THREE, class D, class To>
HWY_INLINE void row_blocks(D d, const RingRows& rows, const float* ring, std::size_t row,
                           const float* w, int start, int count, const To& to) {
  int i = 0;
  // Rows of 7 and 14 pairs would leave remainders so short that outputs wait for their own sums.
  if (count % 7 == 0) row_block<Pattern, 7, FMA, THREE>(d, rows, ring, row, w, start, i, count, to);
  row_block<Pattern, 8, FMA, THREE>(d, rows, ring, row, w, start, i, count, to);
  row_block<Pattern, 4, FMA, THREE>(d, rows, ring, row, w, start, i, count, to);
  row_block<Pattern, 2, FMA, THREE>(d, rows, ring, row, w, start, i, count, to);
  row_block<Pattern, 1, FMA, THREE>(d, rows, ring, row, w, start, i, count, to);
}

/// Computes `count` times two outputs of one row. `ring` and `w` belong to the vector's channels;
/// `row` is the floats from row to row, `start` the pair that the first output's window begins
/// with.
template <class Pattern, bool FMA, class D, class To>
HWY_NOINLINE void row_with(D d, const RingRows& rows, const float* ring, std::size_t row,
                           const float* w, int start, int count, const To& to) {
  if constexpr (Pattern::kColumns == 3) {
    if (rows.count == 3 && rows.present == 3) {
      return row_blocks<Pattern, FMA, true>(d, rows, ring, row, w, start, count, to);
    }
  }
  row_blocks<Pattern, FMA, false>(d, rows, ring, row, w, start, count, to);
}
/// The same, by multiply-adds of floats or by dot products of pairs.
template <class Pattern, class D, class To>
HWY_INLINE void row_of(D d, bool multiply_add, const RingRows& rows, const float* ring,
                       std::size_t row, const float* w, int start, int count, const To& to) {
  if (multiply_add) return row_with<Pattern, true>(d, rows, ring, row, w, start, count, to);
  row_with<Pattern, false>(d, rows, ring, row, w, start, count, to);
}

/// Computes a row of outputs of stride 1.
template <class D, class To>
HWY_INLINE void neighbours_row(D d, bool multiply_add, int width, bool odd, const RingRows& rows,
                               const float* ring, std::size_t row, const float* w, int count,
                               const To& to) {
  const auto run = [&](auto pattern) RENAS_BF16_ATTR {
    row_of<decltype(pattern)>(d, multiply_add, rows, ring, row, w, 0, count, to);
  };
  if (width == 3) return odd ? run(Neighbours<3, true>()) : run(Neighbours<3, false>());
  if (width == 5) return odd ? run(Neighbours<5, true>()) : run(Neighbours<5, false>());
  odd ? run(Neighbours<7, true>()) : run(Neighbours<7, false>());
}

/// Adds one output row's share to R kernel rows of the weight gradient, for stride 1. Each pair of
/// input pixels is multiplied by the gradients of the outputs that it contributes to: under tap t
/// those `left` - t outputs on, as pairs that begin at an even output or straddle two such pairs.
template <int N, bool ODD, int R, class D>
HWY_INLINE void weight_steps(D d, const float* gradient, const float* (&at)[R], int pairs,
                             hn::Vec<D> (&sums)[R][N]) {
  constexpr int kLanes = static_cast<int>(hn::MaxLanes(D()));
  hn::Vec<hn::RebindToUnsigned<D>> window[N];
#pragma GCC unroll 8
  for (int t = 0; t < N; ++t) window[t] = hn::Zero(hn::RebindToUnsigned<D>());
  auto before = ODD ? load_pairs(d, gradient - kLanes) : window[0];
  const auto next = [&]() RENAS_BF16_ATTR {
#pragma GCC unroll 8
    for (int t = N - 1; t >= 2; --t) window[t] = window[t - 2];
    const auto now = load_pairs(d, gradient);
    window[ODD ? 0 : 1] = straddle(before, now);
    window[ODD ? 1 : 0] = ODD ? before : now;
    before = now;
    gradient += kLanes;
  };
#pragma GCC unroll 4
  for (int i = 0; i < (N - 1) / 2; ++i) next();
#pragma GCC unroll 1
  for (int i = 0; i < pairs; ++i) {
    next();
#pragma GCC unroll 3
    for (int r = 0; r < R; ++r) {
      const auto v = load_pairs(d, at[r] + i * kLanes);
#pragma GCC unroll 8
      for (int t = 0; t < N; ++t) sums[r][t] = dot(sums[r][t], window[t], v);
    }
  }
}

/// The same by multiply-adds of floats.
template <int N, bool ODD, int R, class D>
HWY_INLINE void weight_multiply_adds(D d, const float* gradient, const float* (&at)[R], int pairs,
                                     hn::Vec<D> (&sums)[R][N]) {
  constexpr int kLanes = static_cast<int>(hn::MaxLanes(D()));
  // window[k] is output gradient 2 m + 1 - k, if the last pair that was read is the m-th.
  hn::Vec<D> window[N + 2];
#pragma GCC unroll 16
  for (int k = 0; k < N + 2; ++k) window[k] = hn::Zero(d);
  if (ODD) window[0] = second_of(load_pairs(d, gradient - kLanes));
  const auto next = [&]() RENAS_BF16_ATTR {
    const auto now = load_pairs(d, gradient);
    gradient += kLanes;
#pragma GCC unroll 16
    for (int k = N + 1; k >= 2; --k) window[k] = window[k - 2];
    window[1] = first_of(now);
    window[0] = second_of(now);
  };
#pragma GCC unroll 4
  for (int i = 0; i < (N - 1) / 2; ++i) next();
#pragma GCC unroll 1
  for (int i = 0; i < pairs; ++i) {
    next();
#pragma GCC unroll 3
    for (int r = 0; r < R; ++r) {
      const auto v = load_pairs(d, at[r] + i * kLanes);
      const auto first = first_of(v);
      const auto second = second_of(v);
#pragma GCC unroll 8
      for (int t = 0; t < N; ++t) {
        const int k = t + (ODD ? 1 : 0);
        sums[r][t] = hn::MulAdd(window[k + 1], first, sums[r][t]);
        sums[r][t] = hn::MulAdd(window[k], second, sums[r][t]);
      }
    }
  }
}

/// The same for stride 2: each pair of output gradients is multiplied by the two inputs that both
/// outputs meet under one tap.
template <int N, int R, class D>
HWY_INLINE void strided_weight_steps(D d, const float* gradient, const float* (&at)[R], int pairs,
                                     hn::Vec<D> (&sums)[R][N]) {
  constexpr int kLanes = static_cast<int>(hn::MaxLanes(D()));
#pragma GCC unroll 1
  for (int i = 0; i < pairs; ++i, gradient += kLanes) {
    const auto g = load_pairs(d, gradient);
#pragma GCC unroll 3
    for (int r = 0; r < R; ++r) {
      const float* p = at[r] + 2 * i * kLanes;
      auto now = load_pairs(d, p);
#pragma GCC unroll 8
      for (int t = 0; t < N; t += 2) {
        p += kLanes;
        const auto next = load_pairs(d, p);
        sums[r][t] = dot(sums[r][t], g, firsts(now, next));
        if (t + 1 < N) sums[r][t + 1] = dot(sums[r][t + 1], g, seconds(now, next));
        now = next;
      }
    }
  }
}

/// Adds the shares of output rows [y0, y1) to kernel rows [r0, r0 + R) of the weight gradient of
/// channels from c on. out: [channel / 8][row][column][8].
template <int N, int R, class D>
HWY_NOINLINE void weight_rows(D d, const SeparableArgs& args, const Bf16SeparablePlan& plan, int c,
                              int r0, int y0, int y1, float* out) {
  const WindowArgs& w = args.window;
  const int lanes = static_cast<int>(hn::Lanes(d));
  hn::Vec<D> sums[R][N];
#pragma GCC unroll 3
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int t = 0; t < N; ++t) sums[r][t] = hn::Zero(d);
  }
  for (int y = y0; y < y1; ++y) {
    const float* at[R];
    bool any = false;
#pragma GCC unroll 3
    for (int r = 0; r < R; ++r) {
      const int iy = y * plan.stride - w.top + r0 + r;
      const bool exists = iy >= 0 && iy < args.in.map.height;
      at[r] = exists ? plan.input.row(d, c, iy) + plan.input.before * lanes : plan.zero_row;
      any = any || exists;
    }
    if (!any) continue;
    const float* gradient = plan.gradients.row(d, c, y) + plan.gradients.before * lanes;
    if (plan.stride == 2) {
      strided_weight_steps<N, R>(d, gradient, at, plan.row_pairs, sums);
      continue;
    }
    gradient += ((w.left + 1) / 2 - (N - 1) / 2) * lanes;
    const int pairs = (args.in.map.width + 1) / 2;
    const bool odd = w.left % 2 != 0;
    if (plan.multiply_add) {
      odd ? weight_multiply_adds<N, true, R>(d, gradient, at, pairs, sums)
          : weight_multiply_adds<N, false, R>(d, gradient, at, pairs, sums);
    } else {
      odd ? weight_steps<N, true, R>(d, gradient, at, pairs, sums)
          : weight_steps<N, false, R>(d, gradient, at, pairs, sums);
    }
  }
  const int kernel = w.height * N * kBlock;
  out += c / kBlock * kernel + r0 * N * kBlock;
#pragma GCC unroll 3
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int t = 0; t < N; ++t) add_taps(sums[r][t], out + (r * N + t) * kBlock, kernel);
  }
}

template <int N, int R, class D>
HWY_INLINE void weights_of(D d, const SeparableArgs& args, const Bf16SeparablePlan& plan, int c,
                           int y0, int y1, float* out) {
  int r = 0;
  for (; r + R <= args.window.height; r += R) {
    weight_rows<N, R>(d, args, plan, c, r, y0, y1, out);
  }
  if (R > 2 && r + 2 <= args.window.height) {
    weight_rows<N, 2>(d, args, plan, c, r, y0, y1, out);
    r += 2;
  }
  if (r < args.window.height) weight_rows<N, 1>(d, args, plan, c, r, y0, y1, out);
}

/// Adds the shares of output rows [y0, y1) to the weight gradient of channels from c on. out:
/// [channel / 8][kh][kw][8].
template <class D>
HWY_INLINE void depthwise_weights(D d, const SeparableArgs& args, const Bf16SeparablePlan& plan,
                                  int c, int y0, int y1, float* out) {
  if (args.window.width == 3) return weights_of<3, 3>(d, args, plan, c, y0, y1, out);
  if (args.window.width == 5) return weights_of<5, 3>(d, args, plan, c, y0, y1, out);
  weights_of<7, 2>(d, args, plan, c, y0, y1, out);
}

}  // namespace bf16
}  // namespace HWY_NAMESPACE
}  // namespace renas::cpu
HWY_AFTER_NAMESPACE();

#endif  // RENAS_BF16_DEPTHWISE_INL_H_
