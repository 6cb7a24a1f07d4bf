#include <algorithm>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/conv.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h:
#include "backend/cpu/kernels/bf16_kernels.h"
#include "backend/cpu/kernels/conv_plan.h"
#include "backend/cpu/kernels/few_channels-inl.h"
#include "backend/cpu/kernels/gemm-inl.h"
#include "backend/cpu/onednn/tile_product.h"

HWY_BEFORE_NAMESPACE();
namespace renas::cpu {
namespace HWY_NAMESPACE {

/// Packs the matrix rows of `pixels` outputs from pixel `p0` on (im2col). `data` is the input's.
template <class T>
void pack(const TermArgs& t, const T* data, const Map& out, std::size_t p0, int pixels,
          const Matrix<float>& tile) {
  if (is_pointwise(t)) {
    const std::size_t channels = t.in.map.channels;
    const T* from = data + p0 * channels;
    const V floor = relu_floor(t.in);
    for (int c = 0; c < t.in.map.channels; c += kLanes) {
      float* to = tile.data + (c / kBlock) * tile.block_stride + c % kBlock;
      const T* p = from + c;
      const V scale = t.in.scale == nullptr ? hn::Set(d, 1.0F) : load(t.in.scale + c);
      const V shift = t.in.scale == nullptr ? zero() : load(t.in.shift + c);
      for (int m = 0; m < pixels; ++m, p += channels, to += tile.row_stride) {
        store(hn::Max(floor, hn::MulAdd(scale, load(p), shift)), to);
      }
    }
    return;
  }
  if (is_strided_pointwise(t)) {
    const TileOffsets from(t, out, p0, pixels);
    const V floor = relu_floor(t.in);
    for (int c = 0; c < t.k_channels; c += kLanes) {
      float* to = tile.data + (c / kBlock) * tile.block_stride + c % kBlock;
      const V scale = t.in.scale == nullptr ? hn::Set(d, 1.0F) : load(t.in.scale + c);
      const V shift = t.in.scale == nullptr ? zero() : load(t.in.shift + c);
      for (int m = 0; m < pixels; ++m, to += tile.row_stride) {
        const V v = from.at[m] < 0
                        ? zero()
                        : hn::Max(floor, hn::MulAdd(scale, load(data + from.at[m] + c), shift));
        store(v, to);
      }
    }
    return;
  }
  std::memset(tile.data, 0, static_cast<std::size_t>(pixels) * t.depth * sizeof(float));
  const auto element = [&](int m, int k) {
    return tile.data + m * tile.row_stride + (k / kBlock) * tile.block_stride + k % kBlock;
  };
  PixelCursor cursor(out, p0);
  for (int m = 0; m < pixels; ++m, cursor.next(out)) {
    for (int r = 0; r < t.window.height; ++r) {
      for (int s = 0; s < t.window.width; ++s) {
        const std::ptrdiff_t at = tap_offset(t, cursor, r, s);
        if (at < 0) continue;
        const int k0 = (r * t.window.width + s) * t.k_channels;
        if (t.k_channels % kBlock == 0) {
          for (int c = 0; c < t.k_channels; c += kLanes) {
            store(activate(t.in, load(data + at + c), c), element(m, k0 + c));
          }
        } else {
          for (int c = 0; c < t.k_channels; ++c) {
            float v = to_float(data[at + c]);
            if (t.in.scale != nullptr) v = v * t.in.scale[c] + t.in.shift[c];
            if (t.in.relu) v = std::max(v, 0.0F);
            *element(m, k0 + c) = v;
          }
        }
      }
    }
  }
}

/// Returns the tile's matrix: packed into `tile`, or the input map itself.
HWY_INLINE Matrix<const float> matrix_of(const TermArgs& t, const Map& out, std::size_t p0,
                                         int pixels, float* tile) {
  if (needs_no_packing(t)) {
    const std::size_t channels = t.in.map.channels;
    return {t.in.data.as<float>() + p0 * channels, channels, kBlock};
  }
  if (has_few_channels(t)) {
    pack_few_channels(t, out, p0, pixels, tile);
    return {tile, static_cast<std::size_t>(t.depth), kBlock};
  }
  // oneDNN takes dense rows; our own kernel reads blocks as well.
  const Matrix<float> packed =
      t.product != nullptr ? Matrix<float>{tile, static_cast<std::size_t>(t.depth), kBlock}
                           : Matrix<float>{tile, kBlock, static_cast<std::size_t>(pixels) * kBlock};
  typed(t.in.data, [&](auto* data) HWY_ATTR { pack(t, data, out, p0, pixels, packed); });
  return {packed.data, packed.row_stride, packed.block_stride};
}

HWY_INLINE void add_to(float& sum, float v) { sum += v; }
HWY_INLINE void add_to(Bfloat16& sum, float v) { sum = to_bf16(to_float(sum) + v); }

/// Adds the gradients of the matrix rows, [pixels][depth], to the input pixels they were packed
/// from (col2im). `data` and `gradient` are the input's.
template <class T>
void scatter(const TermArgs& t, const T* data, T* gradient, const Map& out, std::size_t p0,
             int pixels, const float* rows) {
  if (is_strided_pointwise(t)) {
    const TileOffsets to(t, out, p0, pixels);
    for (int c = 0; c < t.k_channels; c += kLanes) {
      const V scale = t.in.scale == nullptr ? hn::Set(d, 1.0F) : load(t.in.scale + c);
      const V shift = t.in.scale == nullptr ? zero() : load(t.in.shift + c);
      const float* from = rows + c;
      for (int m = 0; m < pixels; ++m, from += t.depth) {
        if (to.at[m] < 0) continue;
        V g = load(from);
        if (t.in.relu) {
          const V activated = hn::MulAdd(scale, load(data + to.at[m] + c), shift);
          g = hn::IfThenElseZero(hn::Gt(activated, zero()), g);
        }
        T* p = gradient + to.at[m] + c;
        store(hn::Add(load(p), g), p);
      }
    }
    return;
  }
  PixelCursor cursor(out, p0);
  for (int m = 0; m < pixels; ++m, cursor.next(out), rows += t.depth) {
    for (int r = 0; r < t.window.height; ++r) {
      for (int s = 0; s < t.window.width; ++s) {
        const std::ptrdiff_t at = tap_offset(t, cursor, r, s);
        if (at < 0) continue;
        const float* from = rows + (r * t.window.width + s) * t.k_channels;
        T* to = gradient + at;
        if (t.k_channels % kBlock == 0) {
          for (int c = 0; c < t.k_channels; c += kLanes) {
            V g = load(from + c);
            if (t.in.relu) {
              g = hn::IfThenElseZero(hn::Gt(activate(t.in, load(data + at + c), c), zero()), g);
            }
            store(hn::Add(load(to + c), g), to + c);
          }
        } else {
          for (int c = 0; c < t.k_channels; ++c) {
            float v = to_float(data[at + c]);
            if (t.in.scale != nullptr) v = v * t.in.scale[c] + t.in.shift[c];
            if (!t.in.relu || v > 0) add_to(to[c], from[c]);
          }
        }
      }
    }
  }
}

void conv_forward(const ConvArgs& args, int first, int last, float* scratch, float* sums,
                  int thread) {
  const Map& map = args.out.map;
  const std::size_t begin = first * map.pixels();
  const std::size_t end = last * map.pixels();
  const std::size_t channels = map.channels;
  float* f32_tile = scratch + tile_floats(args);
  Prefetcher prefetcher;
  for (std::size_t p0 = begin; p0 < end; p0 += kTilePixels) {
    const int pixels = static_cast<int>(std::min<std::size_t>(kTilePixels, end - p0));
    float* out = tile_of(args.out, p0 * channels, f32_tile);
    prefetcher.clear();
    const std::size_t next = p0 + kTilePixels;
    if (next < end) {
      const std::size_t after = std::min<std::size_t>(kTilePixels, end - next);
      prefetch_inputs(args, next, after, false, prefetcher);
      prefetcher.add(args.out.data, next * channels, after * channels);
      prefetcher.spread(static_cast<int>(args.terms.size()) *
                        micro_steps(kTilePixels, map.channels));
    }
    for (const TermArgs& t : args.terms) {
      const Matrix<const float> a = matrix_of(t, map, p0, pixels, scratch);
      const bool add = &t != &args.terms.front();
      const bool to_bf16_map = &t == &args.terms.back() && args.out.data.is_bf16();
      if (t.product != nullptr && pixels == kTilePixels) {
        t.product->run(a.data, out, add, thread);
        if (to_bf16_map) store_tile(args.out, p0 * channels, pixels, out);
      } else if (to_bf16_map) {
        const StoreBf16 to{args.out.data.as<Bfloat16>() + p0 * channels, channels,
                           add ? out : nullptr};
        product(a, t.weight, channels, to, pixels, map.channels, t.depth, &prefetcher);
      } else {
        product(a, t.weight, channels, Store{out, channels, add}, pixels, map.channels, t.depth,
                &prefetcher);
      }
    }
    accumulate_statistics(args.out, p0 * channels, pixels, sums);
  }
}

/// Stores input gradients that are already computed as dense rows.
template <class T>
HWY_INLINE void store_gradient_rows(const float* rows, int pixels, int depth,
                                    const StoreGradient<T>& to) {
  for (int v = 0; v < depth / kLanes; ++v) {
    const auto strip = to.template strip<1>(v);
    const float* from = rows + v * kLanes;
    for (int m = 0; m < pixels; ++m, from += depth) strip.put(load(from), d, m, 0);
  }
}

/// Computes the weight gradient and the input gradient of one term for one tile. `g` holds the
/// output gradients; `zeroed` says that input gradients were zeroed and are to be accumulated.
HWY_INLINE void term_backward(const TermArgs& t, const Map& map, std::size_t p0, int pixels,
                              const float* g, bool zeroed, float* tile, float* rows, float* partial,
                              int thread, Prefetcher& prefetcher) {
  const std::size_t channels = map.channels;
  const Matrix<const float> a = matrix_of(t, map, p0, pixels, tile);
  add_transposed_product(a, g, channels, partial + t.weight_gradient, t.depth, map.channels, pixels,
                         &prefetcher);
  if (!t.in.gradient) return;
  const std::size_t depth = t.depth;
  const auto multiply_to = [&](const auto& to) HWY_ATTR {
    product({g, channels, kBlock}, t.weight_transposed, depth, to, pixels, t.depth, map.channels,
            &prefetcher);
  };
  const bool by_onednn = t.product_transposed != nullptr && pixels == kTilePixels;
  if (by_onednn) t.product_transposed->run(g, rows, false, thread);
  if (!is_pointwise(t)) {
    if (!by_onednn) multiply_to(Store{rows, depth, false});
    return typed(t.in.gradient, [&](auto* gradient) HWY_ATTR {
      using T = std::remove_pointer_t<decltype(gradient)>;
      scatter<T>(t, t.in.data.as<T>(), gradient, map, p0, pixels, rows);
    });
  }
  const std::size_t at = p0 * depth;
  const bool accumulate = t.in.accumulate || zeroed;
  typed(t.in.gradient, [&](auto* gradient) HWY_ATTR {
    using T = std::remove_pointer_t<decltype(gradient)>;
    const Matrix<const float> activated = t.in.relu ? a : Matrix<const float>{nullptr, 0, 0};
    const StoreGradient<T> to{gradient + at, depth, activated, accumulate};
    if (by_onednn) {
      store_gradient_rows(rows, pixels, t.depth, to);
    } else {
      multiply_to(to);
    }
  });
  accumulate_norm_sums(t.in, at, pixels, partial);
}

void conv_backward(const ConvArgs& args, int first, int last, float* scratch, float* partial,
                   int thread) {
  const Map& map = args.out.map;
  const std::size_t begin = first * map.pixels();
  const std::size_t end = last * map.pixels();
  const std::size_t channels = map.channels;
  const bool zero_first = must_zero_gradients(args);
  const std::size_t tile_size = tile_floats(args);
  float* rows = scratch + tile_size;
  float* gradient_tile = rows + tile_size;
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
        steps += micro_steps(kTilePixels, t.depth) + micro_steps(t.depth, map.channels);
      }
      prefetch_inputs(args, next, after, true, prefetcher);
      prefetcher.spread(steps);
    }
    if (zero_first) zero_gradients(args, begin, p0, pixels);
    const float* g = output_gradients(args.out, p0 * channels, pixels, gradient_tile);
    for (const TermArgs& t : args.terms) {
      term_backward(t, map, p0, pixels, g, zero_first, scratch, rows, partial, thread, prefetcher);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace renas::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace renas::cpu {

HWY_EXPORT(conv_forward);
HWY_EXPORT(conv_backward);

std::size_t conv_scratch(const ConvArgs& args) {
  if (args.bf16_kernels != nullptr) return args.bf16_kernels->scratch(args);
  return 2 * tile_floats(args) + static_cast<std::size_t>(kTilePixels * args.out.map.channels);
}

void conv_forward(const ConvArgs& args, int first, int last, float* scratch, float* sums,
                  int thread) {
  if (args.bf16_kernels != nullptr) {
    return args.bf16_kernels->forward(args, first, last, scratch, sums);
  }
  HWY_DYNAMIC_DISPATCH(conv_forward)(args, first, last, scratch, sums, thread);
}

void conv_backward(const ConvArgs& args, int first, int last, float* scratch, float* partial,
                   int thread) {
  if (args.bf16_kernels != nullptr) {
    return args.bf16_kernels->backward(args, first, last, scratch, partial);
  }
  HWY_DYNAMIC_DISPATCH(conv_backward)(args, first, last, scratch, partial, thread);
}

}  // namespace renas::cpu
#endif
