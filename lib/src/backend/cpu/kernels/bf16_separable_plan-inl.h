// The memory of a separable convolution of bfloat16 pairs: packed weights and scratch. For one
// target alone, as bf16_vector-inl.h.
//
// Everything that a depthwise convolution reads lies in rows of pairs. A pair holds two
// neighbouring pixels of one channel; a vector holds 16 channels (or the last 8).
//
// Stride 1, kernel (a b c), input pairs p(i) = (x[2i], x[2i+1]):
//
//   pixels   x0 x1  x2 x3  x4 x5
//   pairs   | p(0) | p(1) | p(2) |
//   y[2]      0  a   b  c            y[2i]     = (0,a).p(i-1) + (b,c).p(i)
//   y[3]             a  b   c  0     y[2i + 1] = (a,b).p(i)   + (c,0).p(i+1)
//
// Both outputs read the same pairs; only the packing of the taps differs. With a stride of 2, pairs
// begin at the window's first column: an output's window begins with a pair, and the next output's
// window with the next pair.
#ifndef RENAS_BF16_SEPARABLE_PLAN_INL_H_
#define RENAS_BF16_SEPARABLE_PLAN_INL_H_

#include "backend/cpu/kernels/bf16_operands-inl.h"
#include "backend/cpu/kernels/bf16_product-inl.h"
#include "backend/cpu/kernels/separable_plan.h"

RENAS_BF16_BEFORE_NAMESPACE();
namespace renas::cpu {
namespace HWY_NAMESPACE {
namespace bf16 {

constexpr int kMaxKernelRows = 7;

/// A ring buffer of a map's rows, as pairs of neighbouring pixels: [vector of channels][row][pair]
/// [lane].
struct Ring {
  float* data = nullptr;
  int rows = 0;
  int row_pairs = 0;  // pairs of a row
  int before = 0;     // pairs of zeros among them, before the map
  int lanes = 0;      // channels: the lanes of all vectors

  std::size_t floats() const { return lanes * rows * row_pairs; }
  void clear() const { std::memset(data, 0, floats() * sizeof(float)); }
  int slot(int y) const { return y % rows; }
  HWY_INLINE float* channels(int c) const {
    return data + static_cast<std::size_t>(c) * (rows * row_pairs);
  }
  template <class D>
  HWY_INLINE std::size_t row_floats(D d) const {
    return row_pairs * hn::Lanes(d);
  }
  template <class D>
  HWY_INLINE float* row(D d, int c, int y) const {
    return channels(c) + slot(y) * row_floats(d);
  }
};

/// The taps of two neighbouring outputs of stride 1, `side` 0 and 1. Their kernel of N columns
/// begins an even or ODD number of columns to their left.
template <int N, bool ODD>
struct Neighbours {
  static constexpr int kColumns = N;
  static constexpr int kStep = 1;  // pairs of pixels from one two outputs to the next
  /// The zeros before a side's taps.
  static constexpr int lead(int side) { return (side + (ODD ? 1 : 0)) % 2; }
  /// A side's number of tap pairs, the first pair of pixels that it reads, its first pair of taps.
  static constexpr int count(int side) { return (lead(side) + N + 1) / 2; }
  static constexpr int first(int side) { return ODD ? side : 0; }
  static constexpr int taps(int side) { return side == 0 ? 0 : count(0); }
  static constexpr int kTaps = count(0) + count(1);
};

/// The taps of two neighbouring outputs of stride 2.
template <int N>
struct Strided {
  static constexpr int kColumns = N;
  static constexpr int kStep = 2;
  static constexpr int lead(int) { return 0; }
  static constexpr int count(int) { return (N + 1) / 2; }
  static constexpr int first(int side) { return side; }
  static constexpr int taps(int) { return 0; }
  static constexpr int kTaps = (N + 1) / 2;
};

/// How the packed weights of a separable convolution are divided.
template <class T>
struct PairedTaps {
  PairedTaps(const SeparableArgs& args, T* packed) : parts(packed) {
    const WindowArgs& w = args.window;
    const std::size_t in = args.in.map.channels;
    forward_taps = w.height * (w.stride_height == 1 ? w.width + 1 : (w.width + 1) / 2);
    flipped_taps = w.height * (w.width + (w.stride_height == 1 ? 1 : 2));
    depthwise = parts.take(forward_taps * in);
    pointwise = parts.take(packed_weights(args.in.map.channels, args.out.map.channels));
    depthwise_flipped = parts.take(flipped_taps * in);
    pointwise_transposed = parts.take(packed_weights(args.out.map.channels, args.in.map.channels));
  }

  Parts<T> parts;
  // Pairs of taps are [vector of channels][kernel row][pair][lane]. With a stride of 2 the flipped
  // ones are [vector of channels][even or odd columns][kernel row][pair][lane].
  int forward_taps;  // pairs of taps of a kernel
  int flipped_taps;
  T* depthwise;
  T* pointwise;
  T* depthwise_flipped;
  T* pointwise_transposed;
};

/// How the scratch memory is divided. The rows of its tiles are those of SeparablePlan.
struct Bf16SeparablePlan : SeparablePlan {
  Bf16SeparablePlan(const SeparableArgs& args, float* scratch)
      : SeparablePlan(args), weights(args, args.bf16_weights), parts(scratch) {
    const Map& in = args.in.map;
    const Map& out = args.out.map;
    const WindowArgs& w = args.window;
    const int in_pairs = (in.width + 1) / 2;
    stride = w.stride_width;
    multiply_add = args.bf16_kernels != nullptr && args.bf16_kernels->amx;
    row_pairs = (out.width + 1) / 2;
    vectors = (in.channels + 15) / 16;
    input.rows = rows_in;
    gradients.rows = rows_out;
    input.lanes = gradients.lanes = in.channels;
    if (stride == 1) {
      input.before = (w.left + 1) / 2;
      input.row_pairs = input.before + std::max(in_pairs, row_pairs + w.width / 2);
      gradients.before = (w.width - w.left) / 2;
      gradients.row_pairs = gradients.before + std::max(row_pairs, in_pairs + w.width / 2);
    } else {
      input.row_pairs = std::max((w.left + in.width + 1) / 2, 2 * row_pairs + w.width / 2);
      gradients.before = (w.width + 1) / 4;
      gradients.row_pairs = gradients.before + std::max(row_pairs, (w.left + in.width - 1) / 4 + 1);
    }
    const std::size_t pixels = tile_rows * out.width;
    const int pixel_pairs = tile_rows * row_pairs;
    input.data = parts.take(input.floats());
    gradients.data = parts.take(gradients.floats());
    zero_row = parts.take(static_cast<std::size_t>(input.row_pairs) * 16);
    // Rows have room for one more pixel, since they are written two pixels at a time.
    depthwise_rows = parts.take_bf16((pixels + 1) * bf16_row(in.channels));
    depthwise_columns = parts.take(static_cast<std::size_t>(pixel_pairs) * pair_row(in.channels));
    gradient_rows = parts.take_bf16(pixels * bf16_row(out.channels));
    gradient_columns =
        parts.take(static_cast<std::size_t>(amx_padded(pixel_pairs)) * pair_row(out.channels));
    transposed = parts.take(Product::transposed_floats(pixel_pairs));
  }
  /// Clears what no tile writes: the row that stands for those beyond the map, and the pairs behind
  /// the columns of gradients.
  void clear_padding(int out_channels) const {
    std::fill_n(zero_row, static_cast<std::size_t>(input.row_pairs) * 16, 0.0F);
    const int pairs = tile_rows * row_pairs;
    const int row = pair_row(out_channels);
    std::fill(gradient_columns + pairs * row, gradient_columns + amx_padded(pairs) * row, 0.0F);
  }

  PairedTaps<const float> weights;
  Parts<float> parts;
  int stride;
  /// True if depthwise convolutions multiply and add floats instead of pairs: processors with AMX
  /// take two cycles for a vector's dot product of pairs, and half a cycle for a multiply-add.
  bool multiply_add;
  int row_pairs;    // pairs of pixels of an output row
  int vectors;      // vectors of channels
  Ring input;       // activated input rows
  Ring gradients;   // rows of the depthwise result's gradient
  float* zero_row;  // stands for rows beyond the map
  Bfloat16* depthwise_rows;
  float* depthwise_columns;
  Bfloat16* gradient_rows;
  float* gradient_columns;
  float* transposed;  // a part of depthwise_columns, transposed
};

/// Loads one column of the kernels of a vector of channels.
HWY_INLINE V16 taps_of(D16 d, const float* block, int kernel, int at) {
  return hn::Combine(d, hn::LoadU(d8, block + kernel + at), hn::LoadU(d8, block + at));
}
HWY_INLINE V8 taps_of(D8 d, const float* block, int, int at) { return hn::LoadU(d, block + at); }

/// Packs one kernel row of a vector of channels into pairs of taps: columns `first`, first + every,
/// ..., paired from the `from`-th of these on, with zeros beyond them. `blocks` holds the kernels,
/// [channel / 8][row][column][8]. Returns where the next pairs go.
template <class D>
HWY_INLINE float* pack_row(D d, const WindowArgs& w, const float* blocks, int row, int first,
                           int every, int from, float* to) {
  const int kernel = w.height * w.width * kBlock;
  const int columns = (w.width - first + every - 1) / every;
  const auto tap = [&](int i) RENAS_BF16_ATTR {
    if (i < 0 || i >= columns) return hn::Zero(d);
    return taps_of(d, blocks, kernel, (row * w.width + first + i * every) * kBlock);
  };
  for (int i = from; i < columns; i += 2, to += hn::Lanes(d)) put(pair(tap(i), tap(i + 1)), to);
  return to;
}

/// Packs all rows of a kernel as Neighbours has them: the pairs of both sides.
template <class D>
HWY_INLINE float* pack_neighbours(D d, const WindowArgs& w, const float* blocks, int first,
                                  int every, bool odd, float* to) {
  for (int row = 0; row < w.height; ++row) {
    to = pack_row(d, w, blocks, row, first, every, odd ? -1 : 0, to);
    to = pack_row(d, w, blocks, row, first, every, odd ? 0 : -1, to);
  }
  return to;
}

HWY_INLINE void pack_forward(const SeparableArgs& args, const PairedTaps<float>& weights) {
  const WindowArgs& w = args.window;
  each_vector(args.in.map.channels, [&](auto d, int c) RENAS_BF16_ATTR {
    const float* blocks = args.depthwise + c * w.height * w.width;
    float* to = weights.depthwise + static_cast<std::size_t>(c * weights.forward_taps);
    if (w.stride_width == 1) {
      pack_neighbours(d, w, blocks, 0, 1, w.left % 2 != 0, to);
      return;
    }
    for (int row = 0; row < w.height; ++row) to = pack_row(d, w, blocks, row, 0, 1, 0, to);
  });
}

HWY_INLINE void pack_flipped(const SeparableArgs& args, const PairedTaps<float>& weights) {
  const WindowArgs& w = args.window;
  each_vector(args.in.map.channels, [&](auto d, int c) RENAS_BF16_ATTR {
    const float* blocks = args.depthwise_flipped + c * w.height * w.width;
    float* to = weights.depthwise_flipped + static_cast<std::size_t>(c * weights.flipped_taps);
    if (w.stride_width == 1) {
      pack_neighbours(d, w, blocks, 0, 1, (w.width - 1 - w.left) % 2 != 0, to);
      return;
    }
    for (int odd = 0; odd < 2; ++odd) {
      const int columns = (w.width - odd + 1) / 2;
      to = pack_neighbours(d, w, blocks, odd, 2, columns % 2 == 0, to);
    }
  });
}

}  // namespace bf16
}  // namespace HWY_NAMESPACE
}  // namespace renas::cpu
HWY_AFTER_NAMESPACE();

#endif  // RENAS_BF16_SEPARABLE_PLAN_INL_H_
