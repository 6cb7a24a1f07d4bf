#include "backend/cpu/kernels/bf16_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/bf16_conv.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h:
#include "backend/cpu/kernels/few_channels-inl.h"

#if HWY_TARGET == HWY_AVX3
#include "backend/cpu/kernels/bf16_operands-inl.h"
#include "backend/cpu/kernels/bf16_product-inl.h"
#include "backend/cpu/kernels/conv_plan.h"

RENAS_BF16_BEFORE_NAMESPACE();
namespace renas::cpu {
namespace HWY_NAMESPACE {
namespace bf16 {

/// Stores one tile's input gradients, as bfloat16, at the input pixels they belong to.
struct ToInputPixels : Sink {
  Bfloat16* gradient;
  const std::ptrdiff_t* at;   // offset of each pixel; -1 beyond the map
  const Bfloat16* activated;  // rows of the input as the group read it; nullptr: no ReLU
  std::size_t activated_row;
  bool accumulate;

  HWY_INLINE ToInputPixels(Bfloat16* to, const TileOffsets& offsets, const Bfloat16* seen,
                           std::size_t seen_row, bool add)
      : gradient(to), at(offsets.at), activated(seen), activated_row(seen_row), accumulate(add) {}
  template <int ROWS, class V>
  HWY_INLINE void put(const V (&v)[ROWS], int m, int column) {
    const hn::DFromV<V> d;
#pragma GCC unroll 16
    for (int r = 0; r < ROWS; ++r) {
      if (at[m + r] < 0) continue;
      V g = v[r];
      if (activated != nullptr) {
        g = keep_positive(activated + (m + r) * activated_row + column, g);
      }
      Bfloat16* to = gradient + at[m + r] + column;
      if (accumulate) g = hn::Add(g, load(d, to));
      bf16::put(g, to);
    }
  }
};

/// Stores one tile's input gradients where the tile's pixels follow each other in memory.
template <bool RELU, bool ACCUMULATE>
struct ToConsecutivePixels : Sink {
  Bfloat16* gradient;         // of the first pixel
  const Bfloat16* activated;  // rows of the input as the group read it
  std::size_t row;            // numbers from row to row, of both

  HWY_INLINE ToConsecutivePixels(Bfloat16* to, const Bfloat16* seen, std::size_t step)
      : gradient(to), activated(seen), row(step) {}
  template <int ROWS, class V>
  HWY_INLINE void put(const V (&v)[ROWS], int m, int column) {
    const hn::DFromV<V> d;
    const std::size_t at = m * row + column;
    Bfloat16* to = gradient + at;
    const Bfloat16* seen = activated + at;
    const auto masked = [&](int r) RENAS_BF16_ATTR {
      const std::size_t on = r * row;
      V g = v[r];
      if constexpr (RELU) g = keep_positive(seen + on, g);
      if constexpr (ACCUMULATE) g = hn::Add(g, load(d, to + on));
      return g;
    };
    if constexpr (ROWS == 1) {
      bf16::put(masked(0), to);
    } else {
#pragma GCC unroll 8
      for (int r = 0; r < ROWS; r += 2) {
        Bfloat16* p = to + r * row;
        put_each(bf16::round(masked(r), masked(r + 1)), p, p + row);
      }
    }
  }
};

/// Activates a term's inputs of `pixels` outputs from p0 on and packs them as rows, `step` numbers
/// apart, and, unless `columns` is nullptr, as columns, pair_row(depth) floats apart. `f32_tile`
/// holds a tile of floats.
HWY_INLINE void pack(const TermArgs& t, const Map& out, std::size_t p0, int pixels,
                     const TileOffsets& offsets, float* f32_tile, Bfloat16* rows, std::size_t step,
                     float* columns, const Product& product) {
  const auto put_all = [&](const auto& value) RENAS_BF16_ATTR {
    each_vector(t.depth, [&](auto d, int c) RENAS_BF16_ATTR {
      put_pixels(d, pixels, step, pair_row(t.depth), value(d, c), rows + c,
                 columns == nullptr ? nullptr : columns + c);
      product.keep_awake();
    });
  };
  if (has_few_channels(t)) {
    pack_few_channels(t, out, p0, pixels, f32_tile);
    return put_all([&](auto d, int c) RENAS_BF16_ATTR {
      return [d, p = f32_tile + c, depth = t.depth](int pixel)
                 RENAS_BF16_ATTR { return hn::LoadU(d, p + pixel * depth); };
    });
  }
  put_all([&](auto d, int c) RENAS_BF16_ATTR {
    const Bfloat16* data = t.in.data.as<Bfloat16>() + c;
    const auto scale = t.in.scale == nullptr ? hn::Set(d, 1.0F) : hn::LoadU(d, t.in.scale + c);
    const auto shift = t.in.scale == nullptr ? hn::Zero(d) : hn::LoadU(d, t.in.shift + c);
    const auto floor =
        t.in.relu ? hn::Zero(d) : hn::Set(d, -std::numeric_limits<float>::infinity());
    return [=, at = offsets.at](int pixel) RENAS_BF16_ATTR {
      if (at[pixel] < 0) return hn::Zero(d);
      // x86 returns the second operand if one is a NaN: divergence must reach the loss.
      return hn::Max(floor, hn::MulAdd(scale, load(d, data + at[pixel]), shift));
    };
  });
}

/// Computes and stores a term's input gradient for one tile. `rows` is what pack() made.
HWY_INLINE void store_gradient_tile(const TermArgs& t, const TileOffsets& offsets,
                                    const Operand& gradients, int pixels, const float* weights,
                                    int steps, const Bfloat16* rows, bool accumulate,
                                    Product& product, Prefetcher& prefetcher) {
  auto* to = t.in.gradient.as<Bfloat16>();
  const std::size_t row = t.depth;
  const auto multiply_to = [&](const auto& sink) RENAS_BF16_ATTR {
    product.multiply(gradients, pixels, weights, t.depth, steps, sink, prefetcher);
  };
  if (!is_pointwise(t)) {
    return multiply_to(ToInputPixels(to, offsets, t.in.relu ? rows : nullptr, row, accumulate));
  }
  to += offsets.at[0];
  if (t.in.relu && accumulate) return multiply_to(ToConsecutivePixels<true, true>(to, rows, row));
  if (t.in.relu) return multiply_to(ToConsecutivePixels<true, false>(to, rows, row));
  if (accumulate) return multiply_to(ToConsecutivePixels<false, true>(to, rows, row));
  multiply_to(ToConsecutivePixels<false, false>(to, rows, row));
}

/// True if the input map itself is the matrix, without batch norm or ReLU in between.
HWY_INLINE bool is_the_matrix(const TermArgs& t) {
  return is_pointwise(t) && t.in.scale == nullptr && !t.in.relu;
}

/// How the scratch memory is divided.
struct Scratch {
  Scratch(const ConvArgs& args, float* scratch) : parts(scratch) {
    bool any_few_channels = false;
    int most = 0;
    for (const TermArgs& t : args.terms) {
      depth += t.depth;
      most = std::max(most, t.depth);
      any_few_channels = any_few_channels || has_few_channels(t);
    }
    constexpr std::size_t kPixels = kTilePixels;
    constexpr int kPairs = kTilePixels / 2;
    const int channels = args.out.map.channels;
    f32_tile = parts.take(any_few_channels ? kPixels * most + kBlock : 0);
    rows = parts.take_bf16(kPixels * bf16_row(depth));
    columns = parts.take(static_cast<std::size_t>(kPairs) * pair_row(most));
    gradient_rows = parts.take_bf16(kPixels * bf16_row(channels));
    gradient_columns = parts.take(static_cast<std::size_t>(kPairs) * pair_row(channels));
    transposed = parts.take(Product::transposed_floats(kPairs));
  }
  /// Gives the columns of gradients behind a tile's pixels finite numbers.
  void clear_gradient_columns(int channels) const {
    std::fill_n(gradient_columns, kTilePixels / 2 * pair_row(channels), 0.0F);
  }

  Parts<float> parts;
  int depth = 0;  // matrix rows of all terms
  float* f32_tile;
  Bfloat16* rows;
  float* columns;
  Bfloat16* gradient_rows;
  float* gradient_columns;
  float* transposed;  // a part of columns, transposed
};

/// The floats of the packed weights that the forward pass reads. Those of the backward pass follow.
HWY_INLINE std::size_t packed_forward(const ConvArgs& args) {
  std::size_t floats = 0;
  for (const TermArgs& t : args.terms) floats += packed_weights(t.depth, args.out.map.channels);
  return floats;
}

std::size_t conv_packed(const ConvArgs& args) {
  std::size_t floats = packed_forward(args);
  for (const TermArgs& t : args.terms) floats += packed_weights(args.out.map.channels, t.depth);
  return floats;
}

void conv_pack(const ConvArgs& args, bool backward, float* to) {
  const int channels = args.out.map.channels;
  for (const TermArgs& t : args.terms) {
    pack_weights(t.weight, t.depth, channels, to);
    to += packed_weights(t.depth, channels);
  }
  for (const TermArgs& t : args.terms) {
    if (!backward) return;
    pack_weights(t.weight_transposed, channels, t.depth, to);
    to += packed_weights(channels, t.depth);
  }
}

std::size_t conv_scratch(const ConvArgs& args) { return Scratch(args, nullptr).parts.taken(); }

void conv_forward(const ConvArgs& args, int first, int last, float* scratch, float* sums) {
  const Map& map = args.out.map;
  const std::size_t begin = first * map.pixels();
  const std::size_t end = last * map.pixels();
  const std::size_t channels = map.channels;
  const Scratch s(args, scratch);
  Product product(args.bf16_kernels->amx, s.transposed);
  Prefetcher prefetcher;
  for (std::size_t p0 = begin; p0 < end; p0 += kTilePixels) {
    const int pixels = static_cast<int>(std::min<std::size_t>(kTilePixels, end - p0));
    prefetcher.clear();
    const std::size_t next = p0 + kTilePixels;
    if (next < end) {
      const std::size_t after = std::min<std::size_t>(kTilePixels, end - next);
      prefetch_inputs(args, next, after, false, prefetcher);
      prefetcher.add(args.out.data, next * channels, after * channels);
      prefetcher.spread(product.pieces(kTilePixels, map.channels, s.depth / 2));
    }
    // The terms' rows lie side by side, so that one product sums them all.
    const Bfloat16* rows = s.rows;
    std::size_t step = bf16_row(s.depth);
    if (args.terms.size() == 1 && is_the_matrix(args.terms[0])) {
      step = s.depth;
      rows = args.terms[0].in.data.as<Bfloat16>() + p0 * step;
    } else {
      Bfloat16* to = s.rows;
      for (const TermArgs& t : args.terms) {
        pack(t, map, p0, pixels, TileOffsets(t, map, p0, pixels), s.f32_tile, to, step, nullptr,
             product);
        to += t.depth;
      }
    }
    product.multiply(rows_of(rows, step), pixels, args.bf16_weights, map.channels, s.depth / 2,
                     ToOutput(args.out, p0 * channels), prefetcher);
    accumulate_statistics(args.out, p0 * channels, pixels, sums);
  }
}

void conv_backward(const ConvArgs& args, int first, int last, float* scratch, float* partial) {
  const Map& map = args.out.map;
  const std::size_t begin = first * map.pixels();
  const std::size_t end = last * map.pixels();
  const std::size_t channels = map.channels;
  const Scratch s(args, scratch);
  const bool zero_first = must_zero_gradients(args);
  const int gradient_row = bf16_row(map.channels);
  s.clear_gradient_columns(map.channels);
  Product product(args.bf16_kernels->amx, s.transposed);
  Prefetcher prefetcher;
  for (std::size_t p0 = begin; p0 < end; p0 += kTilePixels) {
    const int pixels = static_cast<int>(std::min<std::size_t>(kTilePixels, end - p0));
    prefetcher.clear();
    const std::size_t next = p0 + kTilePixels;
    if (next < end) {
      const std::size_t after = std::min<std::size_t>(kTilePixels, end - next);
      int steps = 0;
      prefetcher.add(args.out.gradient, next * channels, after * channels);
      if (args.out.dy_scale != nullptr) {
        prefetcher.add(args.out.data, next * channels, after * channels);
      }
      for (const TermArgs& t : args.terms) {
        steps += product.pieces(kTilePixels, t.depth, map.channels / 2) +
                 product.pieces(t.depth, map.channels, kTilePixels / 2);
      }
      prefetch_inputs(args, next, after, true, prefetcher);
      prefetcher.spread(steps);
    }
    if (zero_first) zero_gradients(args, begin, p0, pixels);
    raw_gradients(args.out, p0 * channels, pixels, s.gradient_rows, s.gradient_columns);
    const float* weights = args.bf16_weights + packed_forward(args);
    for (const TermArgs& t : args.terms) {
      const std::size_t depth = t.depth;
      const TileOffsets offsets(t, map, p0, pixels);
      pack(t, map, p0, pixels, offsets, s.f32_tile, s.rows, depth, s.columns, product);
      product.multiply_transposed(s.columns, t.depth, s.gradient_columns, map.channels,
                                  (pixels + 1) / 2,
                                  AddToFloats(partial + t.weight_gradient, channels), prefetcher);
      if (t.in.gradient) {
        store_gradient_tile(t, offsets, rows_of(s.gradient_rows, gradient_row), pixels, weights,
                            map.channels / 2, s.rows, t.in.accumulate || zero_first, product,
                            prefetcher);
        if (is_pointwise(t)) {
          accumulate_norm_sums(t.in, p0 * depth, pixels, partial);
        }
      }
      weights += packed_weights(map.channels, t.depth);
    }
  }
}

}  // namespace bf16
}  // namespace HWY_NAMESPACE
}  // namespace renas::cpu
HWY_AFTER_NAMESPACE();
#endif  // HWY_TARGET == HWY_AVX3

#if HWY_ONCE
namespace renas::cpu::bf16 {

#if HWY_TARGETS & HWY_AVX3

const ConvKernels* kernels_for(const ConvArgs& args) {
  static constexpr ConvKernels kVectors = {false,
                                           N_AVX3::bf16::conv_packed,
                                           N_AVX3::bf16::conv_pack,
                                           N_AVX3::bf16::conv_scratch,
                                           N_AVX3::bf16::conv_forward,
                                           N_AVX3::bf16::conv_backward};
  static constexpr ConvKernels kTiles = kVectors.with_amx();
  if (!args.out.data.is_bf16() || !available()) return nullptr;
  const bool all = std::all_of(args.terms.begin(), args.terms.end(), [](const TermArgs& t) {
    return (t.in.data.is_bf16() && (is_pointwise(t) || is_strided_pointwise(t))) ||
           (has_few_channels(t) && !t.in.gradient);
  });
  if (!all) return nullptr;
  return has_amx() ? &kTiles : &kVectors;
}

#else

const ConvKernels* kernels_for(const ConvArgs&) { return nullptr; }

#endif

}  // namespace renas::cpu::bf16
#endif
