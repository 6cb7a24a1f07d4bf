#include "backend/cpu/kernels/bf16_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/bf16_conv.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h:
#include "backend/cpu/kernels/few_channels-inl.h"

#if HWY_TARGET == HWY_AVX3
#include "backend/cpu/kernels/bf16_gemm-inl.h"
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
    // ROWS is 16, 8, 4, 2 or 1.
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
/// apart, and, unless `columns` is nullptr, as columns. `f32_tile` holds a tile of floats.
HWY_INLINE void pack(const TermArgs& t, const Map& out, std::size_t p0, int pixels,
                     const TileOffsets& offsets, float* f32_tile, Bfloat16* rows, std::size_t step,
                     float* columns) {
  const auto put_all = [&](const auto& value) RENAS_BF16_ATTR {
    each_vector(t.depth, [&](auto d, int c) RENAS_BF16_ATTR {
      put_pixels(d, pixels, step, t.depth, value(d, c), rows + c,
                 columns == nullptr ? nullptr : columns + c);
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
                                    Prefetcher& prefetcher) {
  auto* to = t.in.gradient.as<Bfloat16>();
  const std::size_t row = t.depth;
  const auto multiply_to = [&](const auto& sink) RENAS_BF16_ATTR {
    multiply(gradients, pixels, weights, t.depth, steps, sink, prefetcher);
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
    for (const TermArgs& t : args.terms) {
      depth += t.depth;
      any_few_channels = any_few_channels || has_few_channels(t);
    }
    const std::size_t tile = kTilePixels * depth;
    const std::size_t out_tile = kTilePixels * args.out.map.channels;
    f32_tile = parts.take(any_few_channels ? tile + kBlock : 0);
    rows = parts.take_bf16(tile);
    columns = parts.take(tile / 2);
    gradient_rows = parts.take_bf16(out_tile);
    gradient_columns = parts.take(out_tile / 2);
  }

  Parts<float> parts;
  int depth = 0;  // matrix rows of all terms
  float* f32_tile;
  Bfloat16* rows;
  float* columns;
  Bfloat16* gradient_rows;
  float* gradient_columns;
};

/// The floats of the packed weights of one pass, forward or backward.
HWY_INLINE std::size_t packed_pass_floats(const ConvArgs& args) {
  std::size_t floats = 0;
  for (const TermArgs& t : args.terms) {
    floats += static_cast<std::size_t>(t.depth * args.out.map.channels) / 2;
  }
  return floats;
}

std::size_t conv_packed(const ConvArgs& args) { return 2 * packed_pass_floats(args); }

void conv_pack(const ConvArgs& args, bool backward, float* to) {
  const int channels = args.out.map.channels;
  for (const TermArgs& t : args.terms) {
    pack_weights(t.weight, t.depth, channels, to);
    to += t.depth * channels / 2;
  }
  for (const TermArgs& t : args.terms) {
    if (!backward) return;
    pack_weights(t.weight_transposed, channels, t.depth, to);
    to += t.depth * channels / 2;
  }
}

std::size_t conv_scratch(const ConvArgs& args) { return Scratch(args, nullptr).parts.taken(); }

void conv_forward(const ConvArgs& args, int first, int last, float* scratch, float* sums) {
  const Map& map = args.out.map;
  const std::size_t begin = first * map.pixels();
  const std::size_t end = last * map.pixels();
  const std::size_t channels = map.channels;
  const Scratch s(args, scratch);
  Prefetcher prefetcher;
  for (std::size_t p0 = begin; p0 < end; p0 += kTilePixels) {
    const int pixels = static_cast<int>(std::min<std::size_t>(kTilePixels, end - p0));
    prefetcher.clear();
    const std::size_t next = p0 + kTilePixels;
    if (next < end) {
      const std::size_t after = std::min<std::size_t>(kTilePixels, end - next);
      prefetch_inputs(args, next, after, false, prefetcher);
      prefetcher.add(args.out.data, next * channels, after * channels);
      prefetcher.spread(micro_steps(kTilePixels, map.channels, s.depth / 2));
    }
    // The terms' rows lie side by side, so that one product sums them all.
    const Bfloat16* rows = s.rows;
    if (args.terms.size() == 1 && is_the_matrix(args.terms[0])) {
      rows = args.terms[0].in.data.as<Bfloat16>() + p0 * s.depth;
    } else {
      Bfloat16* to = s.rows;
      for (const TermArgs& t : args.terms) {
        pack(t, map, p0, pixels, TileOffsets(t, map, p0, pixels), s.f32_tile, to, s.depth, nullptr);
        to += t.depth;
      }
    }
    multiply(rows_of(rows, s.depth), pixels, args.bf16_weights, map.channels, s.depth / 2,
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
        steps += micro_steps(kTilePixels, t.depth, map.channels / 2) +
                 micro_steps(t.depth, map.channels, kTilePixels / 2);
      }
      prefetch_inputs(args, next, after, true, prefetcher);
      prefetcher.spread(steps);
    }
    if (zero_first) zero_gradients(args, begin, p0, pixels);
    raw_gradients(args.out, p0 * channels, pixels, s.gradient_rows, s.gradient_columns);
    const float* weights = args.bf16_weights + packed_pass_floats(args);
    for (const TermArgs& t : args.terms) {
      const std::size_t depth = t.depth;
      const TileOffsets offsets(t, map, p0, pixels);
      pack(t, map, p0, pixels, offsets, s.f32_tile, s.rows, depth, s.columns);
      multiply({s.columns, 1, depth}, t.depth, s.gradient_columns, map.channels, (pixels + 1) / 2,
               ToFloats(partial + t.weight_gradient, channels, true), prefetcher);
      if (t.in.gradient) {
        store_gradient_tile(t, offsets, rows_of(s.gradient_rows, map.channels), pixels, weights,
                            map.channels / 2, s.rows, t.in.accumulate || zero_first, prefetcher);
        if (is_pointwise(t)) {
          accumulate_norm_sums(t.in, p0 * depth, pixels, partial);
        }
      }
      weights += t.depth * map.channels / 2;
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
  static constexpr ConvKernels kKernels = {N_AVX3::bf16::conv_packed, N_AVX3::bf16::conv_pack,
                                           N_AVX3::bf16::conv_scratch, N_AVX3::bf16::conv_forward,
                                           N_AVX3::bf16::conv_backward};
  if (!args.out.data.is_bf16() || !available()) return nullptr;
  const bool all = std::all_of(args.terms.begin(), args.terms.end(), [](const TermArgs& t) {
    return (t.in.data.is_bf16() && (is_pointwise(t) || is_strided_pointwise(t))) ||
           (has_few_channels(t) && !t.in.gradient);
  });
  return all ? &kKernels : nullptr;
}

#else

const ConvKernels* kernels_for(const ConvArgs&) { return nullptr; }

#endif

}  // namespace renas::cpu::bf16
#endif
