// Depthwise convolution of pairs: forward (and, with flipped weights, the data gradient) and the
// weight gradient. Of one target alone, as pairs-inl.h.
//
// All that a depthwise convolution reads lies in rows of pairs: of every second pixel, for each
// channel, its number and the next pixel's, 16 channels (or the last 8) a vector. With a stride of
// 1 outputs are summed two neighbours at a time: both meet the same pairs, under taps that are
// paired either way: of three taps a, b, c around pixels 2i and 2i + 1, the first sums (0, a) and
// (b, c), the second (a, b) and (c, 0). With a stride of 2 pairs begin at the window's first
// column, so that an output's window begins with a pair, the next output's with the next.
#ifndef RENAS_DEPTHWISE_PAIRS_INL_H_
#define RENAS_DEPTHWISE_PAIRS_INL_H_

#include "backend/cpu/kernels/pairs-inl.h"
#include "backend/cpu/kernels/separable_plan.h"

RENAS_PAIRS_BEFORE_NAMESPACE();
namespace renas::cpu {
namespace HWY_NAMESPACE {
namespace pairs {

constexpr int kMostRows = 7;  // of a kernel

/// Rows of pairs, the last so many of a map: [vector of channels][row][pair][lane].
struct Ring {
  float* data = nullptr;
  int rows = 0;
  int pairs = 0;   // of a row
  int before = 0;  // of them zeros, before the map
  int lanes = 0;   // of all vectors

  std::size_t floats() const { return static_cast<std::size_t>(lanes * rows * pairs); }
  void clear() const { std::memset(data, 0, floats() * sizeof(float)); }
  int slot(int y) const { return y % rows; }
  HWY_INLINE float* channels(int c) const {
    return data + static_cast<std::size_t>(c) * static_cast<std::size_t>(rows * pairs);
  }
  template <class D>
  HWY_INLINE std::size_t row_floats(D d) const {
    return static_cast<std::size_t>(pairs) * hn::Lanes(d);
  }
  template <class D>
  HWY_INLINE float* row(D d, int c, int y) const {
    return channels(c) + static_cast<std::size_t>(slot(y)) * row_floats(d);
  }
};

/// Two neighbouring outputs of stride 1, `side` 0 and 1, under a kernel of N columns that begins
/// an even or ODD number of columns to their left.
template <int N, bool ODD>
struct Neighbours {
  static constexpr int kColumns = N;
  static constexpr int kStep = 1;  // pairs from one two outputs to the next
  /// Pairs of taps that a side has, the first pair of pixels that it meets, its first pair of taps.
  static constexpr int count(int side) { return ((side + (ODD ? 1 : 0)) % 2 + N + 1) / 2; }
  static constexpr int first(int side) { return ODD ? side : 0; }
  static constexpr int taps(int side) { return side == 0 ? 0 : count(0); }
  static constexpr int kTaps = count(0) + count(1);
};

/// Two neighbouring outputs of stride 2.
template <int N>
struct Strided {
  static constexpr int kColumns = N;
  static constexpr int kStep = 2;
  static constexpr int count(int) { return (N + 1) / 2; }
  static constexpr int first(int side) { return side; }
  static constexpr int taps(int) { return 0; }
  static constexpr int kTaps = (N + 1) / 2;
};

/// How packed weights are divided.
template <class T>
struct PairedWeights {
  PairedWeights(const SeparableArgs& args, T* packed) : parts(packed) {
    const WindowArgs& w = args.window;
    const auto in = static_cast<std::size_t>(args.in.map.channels);
    const auto out = static_cast<std::size_t>(args.out.map.channels);
    forward_taps = w.height * (w.stride == 1 ? w.width + 1 : (w.width + 1) / 2);
    flipped_taps = w.height * (w.width + (w.stride == 1 ? 1 : 2));
    depthwise = parts.take(static_cast<std::size_t>(forward_taps) * in);
    pointwise = parts.take(in * out / 2);
    depthwise_flipped = parts.take(static_cast<std::size_t>(flipped_taps) * in);
    pointwise_transposed = parts.take(in * out / 2);
  }

  Parts<T> parts;
  // Pairs of taps: [vector of channels][kernel row][pair][lane]; with a stride of 2 the flipped
  // ones are [vector of channels][even or odd columns][kernel row][pair][lane].
  int forward_taps;  // pairs of a kernel
  int flipped_taps;
  T* depthwise;
  T* pointwise;
  T* depthwise_flipped;
  T* pointwise_transposed;
};

/// How scratch is divided; rows go as SeparablePlan has them.
struct PairPlan : SeparablePlan {
  PairPlan(const SeparableArgs& args, float* scratch)
      : SeparablePlan(args), weights(args, args.paired), parts(scratch) {
    const Map& in = args.in.map;
    const Map& out = args.out.map;
    const WindowArgs& w = args.window;
    const int in_pairs = (in.width + 1) / 2;
    stride = w.stride;
    row_pairs = (out.width + 1) / 2;
    vectors = (in.channels + 15) / 16;
    picture.rows = rows_in;
    gradients.rows = rows_out;
    picture.lanes = gradients.lanes = in.channels;
    if (stride == 1) {
      picture.before = (w.left + 1) / 2;
      picture.pairs = picture.before + std::max(in_pairs, row_pairs + w.width / 2);
      gradients.before = (w.width - w.left) / 2;
      gradients.pairs = gradients.before + std::max(row_pairs, in_pairs + w.width / 2);
    } else {
      picture.pairs = std::max((w.left + in.width + 1) / 2, 2 * row_pairs + w.width / 2);
      gradients.before = (w.width + 1) / 4;
      gradients.pairs = gradients.before + std::max(row_pairs, (w.left + in.width - 1) / 4 + 1);
    }
    const auto pixels = static_cast<std::size_t>(tile_rows * out.width);
    const auto pixel_pairs = static_cast<std::size_t>(tile_rows * row_pairs);
    const auto in_channels = static_cast<std::size_t>(in.channels);
    const auto out_channels = static_cast<std::size_t>(out.channels);
    picture.data = parts.take(picture.floats());
    gradients.data = parts.take(gradients.floats());
    nothing = parts.take(static_cast<std::size_t>(picture.pairs) * 16);
    // Rows have room for a pixel more: they are written two at a time.
    tile_halves = parts.take_halves((pixels + 1) * in_channels);
    tile_columns = parts.take(pixel_pairs * in_channels);
    gradient_rows = parts.take_halves(pixels * out_channels);
    gradient_columns = parts.take(pixel_pairs * out_channels);
  }
  void clear_nothing() const {
    std::fill_n(nothing, static_cast<std::size_t>(picture.pairs) * 16, 0.0F);
  }

  PairedWeights<const float> weights;
  Parts<float> parts;
  int stride;
  int row_pairs;   // of an output row's pixels
  int vectors;     // of channels
  Ring picture;    // what the reader sees
  Ring gradients;  // of the depthwise result
  float* nothing;  // a row of zeros
  Bfloat16* tile_halves;
  float* tile_columns;
  Bfloat16* gradient_rows;
  float* gradient_columns;
};

/// One column of a vector's kernels.
HWY_INLINE V16 taps_of(D16 d, const float* block, int kernel, int at) {
  return hn::Combine(d, hn::LoadU(d8, block + kernel + at), hn::LoadU(d8, block + at));
}
HWY_INLINE V8 taps_of(D8 d, const float* block, int, int at) { return hn::LoadU(d, block + at); }

/// Pairs of the taps of columns `first`, first + every, ... of one kernel row, of a vector's
/// kernels [channel / 8][row][column][8], from the one numbered `from` on; beyond the columns lie
/// zeros. Returns where the next ones go.
template <class D>
HWY_INLINE float* pack_row(D d, const WindowArgs& w, const float* blocks, int row, int first,
                           int every, int from, float* to) {
  const int kernel = w.height * w.width * kBlock;
  const int columns = (w.width - first + every - 1) / every;
  const auto tap = [&](int i) RENAS_PAIRS_ATTR {
    if (i < 0 || i >= columns) return hn::Zero(d);
    return taps_of(d, blocks, kernel, (row * w.width + first + i * every) * kBlock);
  };
  for (int i = from; i < columns; i += 2, to += hn::Lanes(d)) put(pair(tap(i), tap(i + 1)), to);
  return to;
}

/// The same of all rows, as Neighbours has them: both sides' pairs.
template <class D>
HWY_INLINE float* pack_neighbours(D d, const WindowArgs& w, const float* blocks, int first,
                                  int every, bool odd, float* to) {
  for (int row = 0; row < w.height; ++row) {
    to = pack_row(d, w, blocks, row, first, every, odd ? -1 : 0, to);
    to = pack_row(d, w, blocks, row, first, every, odd ? 0 : -1, to);
  }
  return to;
}

HWY_INLINE void pack_forward(const SeparableArgs& args, const PairedWeights<float>& weights) {
  const WindowArgs& w = args.window;
  each_vector(args.in.map.channels, [&](auto d, int c) RENAS_PAIRS_ATTR {
    const float* blocks = args.depthwise + c * w.height * w.width;
    float* to = weights.depthwise + static_cast<std::size_t>(c * weights.forward_taps);
    if (w.stride == 1) {
      pack_neighbours(d, w, blocks, 0, 1, w.left % 2 != 0, to);
      return;
    }
    for (int row = 0; row < w.height; ++row) to = pack_row(d, w, blocks, row, 0, 1, 0, to);
  });
}

HWY_INLINE void pack_flipped(const SeparableArgs& args, const PairedWeights<float>& weights) {
  const WindowArgs& w = args.window;
  each_vector(args.in.map.channels, [&](auto d, int c) RENAS_PAIRS_ATTR {
    const float* blocks = args.depthwise_flipped + c * w.height * w.width;
    float* to = weights.depthwise_flipped + static_cast<std::size_t>(c * weights.flipped_taps);
    if (w.stride == 1) {
      pack_neighbours(d, w, blocks, 0, 1, (w.width - 1 - w.left) % 2 != 0, to);
      return;
    }
    for (int odd = 0; odd < 2; ++odd) {
      const int columns = (w.width - odd + 1) / 2;
      to = pack_neighbours(d, w, blocks, odd, 2, columns % 2 == 0, to);
    }
  });
}

/// Adds to one column of a vector's kernels.
HWY_INLINE void add_taps(V8 v, float* block, int) {
  hn::StoreU(hn::Add(hn::LoadU(d8, block), v), d8, block);
}
HWY_INLINE void add_taps(V16 v, float* block, int kernel) {
  add_taps(hn::LowerHalf(d8, v), block, kernel);
  add_taps(hn::UpperHalf(d8, v), block + kernel, kernel);
}

/// The rows of a ring under each row of a kernel; -1 where the window leaves the map.
struct Slots {
  int at[kMostRows];
  int count = 0;
  int first = 0;  // none exists outside [first, last)
  int last = 0;
  int exist = 0;

  HWY_INLINE void add(int slot) {
    at[count] = slot;
    if (slot >= 0) {
      if (last == 0) first = count;
      last = count + 1;
      ++exist;
    }
    ++count;
  }
};

/// Rows of the picture under output row y.
HWY_INLINE Slots rows_under(const SeparableArgs& args, const PairPlan& plan, int y) {
  Slots rows;
  for (int r = 0; r < args.window.height; ++r) {
    const int iy = y * plan.stride - args.window.top + r;
    rows.add(iy < 0 || iy >= args.in.map.height ? -1 : plan.picture.slot(iy));
  }
  return rows;
}

/// Rows of gradients over input row iy, in the order of the flipped kernel.
HWY_INLINE Slots rows_over(const SeparableArgs& args, const PairPlan& plan, int iy) {
  const WindowArgs& w = args.window;
  Slots rows;
  for (int r = 0; r < w.height; ++r) {
    const int at = iy + w.top - (w.height - 1 - r);
    const int y = at / w.stride;
    const bool exists = at >= 0 && at % w.stride == 0 && y < args.out.map.height;
    rows.add(exists ? plan.gradients.slot(y) : -1);
  }
  return rows;
}

/// Adds one kernel row's products to X times two outputs: `p`, the pairs of the first's window,
/// `w`, the row's pairs of taps.
template <class Meeting, int X, class D>
HWY_INLINE void meet_row(D d, const float* p, const float* w, hn::Vec<D> (&sums)[2][X]) {
  constexpr int kLast = (X - 1) * Meeting::kStep + std::max(Meeting::first(0) + Meeting::count(0),
                                                            Meeting::first(1) + Meeting::count(1));
  constexpr int kLanes = static_cast<int>(hn::MaxLanes(D()));
  hn::Vec<hn::RebindToUnsigned<D>> taps[Meeting::kTaps];
#pragma GCC unroll 8
  for (int t = 0; t < Meeting::kTaps; ++t) taps[t] = load_pairs(d, w + t * kLanes);
#pragma GCC unroll 32
  for (int j = 0; j < kLast; ++j) {
    const auto v = load_pairs(d, p + j * kLanes);
#pragma GCC unroll 2
    for (int side = 0; side < 2; ++side) {
#pragma GCC unroll 4
      for (int t = 0; t < Meeting::count(side); ++t) {
        const int at = j - Meeting::first(side) - t;
        if (at < 0 || at % Meeting::kStep != 0 || at / Meeting::kStep >= X) continue;
        hn::Vec<D>& sum = sums[side][at / Meeting::kStep];
        sum = dot(sum, v, taps[Meeting::taps(side) + t]);
      }
    }
  }
}

/// X times two outputs in registers, from the i-th on, for as many as there are, to
/// sink.put(firsts, seconds, i). THREE: of three rows, one by one in code: a loop so short costs a
/// wrong guess of its end.
template <class Meeting, int X, bool THREE, class D, class To>
HWY_INLINE void row_block(D d, const Slots& rows, const float* ring, std::size_t row,
                          const float* w, int start, int& i, int count, const To& to) {
  constexpr int kLanes = static_cast<int>(hn::MaxLanes(D()));
  constexpr int kTaps = Meeting::kTaps * kLanes;
  for (; i + X <= count; i += X) {
    hn::Vec<D> sums[2][X];
#pragma GCC unroll 8
    for (int o = 0; o < X; ++o) sums[0][o] = sums[1][o] = hn::Zero(d);
    const float* from = ring + (start + i * Meeting::kStep) * kLanes;
    const auto row_at = [&](int r) RENAS_PAIRS_ATTR {
      return from + static_cast<std::size_t>(rows.at[r]) * row;
    };
    if constexpr (THREE) {
      meet_row<Meeting, X>(d, row_at(0), w, sums);
      meet_row<Meeting, X>(d, row_at(1), w + kTaps, sums);
      meet_row<Meeting, X>(d, row_at(2), w + 2 * kTaps, sums);
    } else {
      for (int r = rows.first; r < rows.last; ++r) {
        if (rows.at[r] >= 0) meet_row<Meeting, X>(d, row_at(r), w + r * kTaps, sums);
      }
    }
    to.put(sums[0], sums[1], i);
  }
}

template <class Meeting, bool THREE, class D, class To>
HWY_INLINE void row_blocks(D d, const Slots& rows, const float* ring, std::size_t row,
                           const float* w, int start, int count, const To& to) {
  int i = 0;
  // Rows of 7 and 14 pairs would leave rests that wait for their own sums.
  if (count % 7 == 0) row_block<Meeting, 7, THREE>(d, rows, ring, row, w, start, i, count, to);
  row_block<Meeting, 8, THREE>(d, rows, ring, row, w, start, i, count, to);
  row_block<Meeting, 4, THREE>(d, rows, ring, row, w, start, i, count, to);
  row_block<Meeting, 2, THREE>(d, rows, ring, row, w, start, i, count, to);
  row_block<Meeting, 1, THREE>(d, rows, ring, row, w, start, i, count, to);
}

/// Outputs of one row, `count` times two. `ring` and `w`: of the vector's channels; `row`: floats
/// from row to row; `start`: the pair of pixels that the first output's window begins with.
template <class Meeting, class D, class To>
HWY_NOINLINE void row_of(D d, const Slots& rows, const float* ring, std::size_t row, const float* w,
                         int start, int count, const To& to) {
  if constexpr (Meeting::kColumns == 3) {
    if (rows.count == 3 && rows.exist == 3) {
      return row_blocks<Meeting, true>(d, rows, ring, row, w, start, count, to);
    }
  }
  row_blocks<Meeting, false>(d, rows, ring, row, w, start, count, to);
}

/// The same of stride 1.
template <class D, class To>
HWY_INLINE void neighbours_row(D d, int width, bool odd, const Slots& rows, const float* ring,
                               std::size_t row, const float* w, int count, const To& to) {
  const auto run = [&](auto meeting) RENAS_PAIRS_ATTR {
    row_of<decltype(meeting)>(d, rows, ring, row, w, 0, count, to);
  };
  if (width == 3) return odd ? run(Neighbours<3, true>()) : run(Neighbours<3, false>());
  if (width == 5) return odd ? run(Neighbours<5, true>()) : run(Neighbours<5, false>());
  odd ? run(Neighbours<7, true>()) : run(Neighbours<7, false>());
}

/// R rows of the weight gradient over one output row of stride 1. Under each pair of the picture
/// lie the gradients of the outputs that it meets: tap t of a pixel those `left` - t outputs on, as
/// pairs that begin at an even output or, between two, at an odd one.
template <int N, bool ODD, int R, class D>
HWY_INLINE void weight_steps(D d, const float* gradient, const float* (&at)[R], int pairs,
                             hn::Vec<D> (&sums)[R][N]) {
  constexpr int kLanes = static_cast<int>(hn::MaxLanes(D()));
  hn::Vec<hn::RebindToUnsigned<D>> window[N];
#pragma GCC unroll 8
  for (int t = 0; t < N; ++t) window[t] = hn::Zero(hn::RebindToUnsigned<D>());
  auto before = ODD ? load_pairs(d, gradient - kLanes) : window[0];
  const auto next = [&]() RENAS_PAIRS_ATTR {
#pragma GCC unroll 8
    for (int t = N - 1; t >= 2; --t) window[t] = window[t - 2];
    const auto now = load_pairs(d, gradient);
    window[ODD ? 0 : 1] = between(before, now);
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

/// The same of stride 2: for every pair of outputs the numbers that both meet under a tap.
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

/// Kernel rows [r0, r0 + R) of the weight gradient of channels from c on over output rows [y0, y1),
/// added to out [channel / 8][row][column][8].
template <int N, int R, class D>
HWY_NOINLINE void weight_rows(D d, const SeparableArgs& args, const PairPlan& plan, int c, int r0,
                              int y0, int y1, float* out) {
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
      at[r] = exists ? plan.picture.row(d, c, iy) + plan.picture.before * lanes : plan.nothing;
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
    if (w.left % 2 != 0) {
      weight_steps<N, true, R>(d, gradient, at, pairs, sums);
    } else {
      weight_steps<N, false, R>(d, gradient, at, pairs, sums);
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
HWY_INLINE void weights_of(D d, const SeparableArgs& args, const PairPlan& plan, int c, int y0,
                           int y1, float* out) {
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

/// Adds the shares of output rows [y0, y1), channels from c on, to out [channel / 8][kh][kw][8].
template <class D>
HWY_INLINE void depthwise_weights(D d, const SeparableArgs& args, const PairPlan& plan, int c,
                                  int y0, int y1, float* out) {
  if (args.window.width == 3) return weights_of<3, 3>(d, args, plan, c, y0, y1, out);
  if (args.window.width == 5) return weights_of<5, 3>(d, args, plan, c, y0, y1, out);
  weights_of<7, 2>(d, args, plan, c, y0, y1, out);
}

}  // namespace pairs
}  // namespace HWY_NAMESPACE
}  // namespace renas::cpu
HWY_AFTER_NAMESPACE();

#endif  // RENAS_DEPTHWISE_PAIRS_INL_H_
