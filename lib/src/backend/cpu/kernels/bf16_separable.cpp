#include "backend/cpu/kernels/bf16_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/bf16_separable.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h:
#include "backend/cpu/kernels/vector-inl.h"

#if HWY_TARGET == HWY_AVX3
#include "backend/cpu/kernels/bf16_depthwise-inl.h"

RENAS_BF16_BEFORE_NAMESPACE();
namespace renas::cpu {
namespace HWY_NAMESPACE {
namespace bf16 {

std::size_t separable_packed(const SeparableArgs& args) {
  return PairedTaps<float>(args, nullptr).parts.taken();
}

void separable_pack(const SeparableArgs& args, bool backward, float* to) {
  const PairedTaps<float> weights(args, to);
  const int in = args.in.map.channels;
  const int out = args.out.map.channels;
  pack_forward(args, weights);
  pack_weights(args.pointwise, in, out, weights.pointwise);
  if (!backward) return;
  pack_flipped(args, weights);
  pack_weights(args.pointwise_transposed, out, in, weights.pointwise_transposed);
}

std::size_t separable_scratch(const SeparableArgs& args) {
  return Bf16SeparablePlan(args, nullptr).parts.taken();
}

/// Activates row y of an image, which begins at `from`, and stores it as pairs in the input ring.
HWY_INLINE void load_row(const SeparableArgs& args, const Bf16SeparablePlan& plan,
                         const Bfloat16* from, int y) {
  const InputView& in = args.in;
  const std::size_t step = in.map.channels;
  const int width = in.map.width;
  // With a stride of 2 the pairs begin at the window's first column, left of the map.
  const int first = plan.stride == 1 ? 0 : -args.window.left;
  each_vector(in.map.channels, [&](auto d, int c) RENAS_BF16_ATTR {
    const auto scale = in.scale == nullptr ? hn::Set(d, 1.0F) : hn::LoadU(d, in.scale + c);
    const auto shift = in.scale == nullptr ? hn::Zero(d) : hn::LoadU(d, in.shift + c);
    const auto floor = in.relu ? hn::Zero(d) : hn::Set(d, -std::numeric_limits<float>::infinity());
    const Bfloat16* p = from + c;
    // x86 returns the second operand if one is a NaN: divergence must reach the loss.
    const auto activate_pixel = [&](int x) RENAS_BF16_ATTR {
      const auto value = load(d, p + x * step);
      return hn::Max(floor, hn::MulAdd(scale, value, shift));
    };
    const int lanes = static_cast<int>(hn::Lanes(d));
    float* to = plan.input.row(d, c, y) + plan.input.before * lanes;
    int x = first;
    for (; x < 0; x += 2, to += lanes) {
      if (x + 1 >= 0) put(pair(hn::Zero(d), activate_pixel(0)), to);
    }
    for (; x + 1 < width; x += 2, to += lanes) {
      put(pair(activate_pixel(x), activate_pixel(x + 1)), to);
    }
    if (x < width) put(pair(activate_pixel(x), hn::Zero(d)), to);
  });
}

HWY_INLINE void load_rows(const SeparableArgs& args, const Bf16SeparablePlan& plan, int n,
                          int& loaded, int wanted, const Product& product) {
  const Map& map = args.in.map;
  const std::size_t row = map.row();
  const Bfloat16* data = args.in.data.as<Bfloat16>() + n * map.size();
  for (; loaded < wanted; ++loaded) {
    load_row(args, plan, data + loaded * row, loaded);
    product.keep_awake();
  }
}

/// Stores depthwise results as rows of bfloat16, one a pixel. The last vector of an odd row has a
/// pixel too many, which the next row overwrites.
struct ToRows {
  Bfloat16* to;  // the row's first pixel, channels of this vector
  std::size_t step;
  template <int X, class V>
  HWY_INLINE void put(const V (&first)[X], const V (&second)[X], int i) const {
    Bfloat16* p = to + 2 * i * step;
#pragma GCC unroll 8
    for (int o = 0; o < X; ++o, p += 2 * step) {
      put_each(bf16::round(first[o], second[o]), p, p + step);
    }
  }
};

/// Stores depthwise results as columns: pairs of one pixel and the next.
struct ToColumns {
  float* to;
  std::size_t step;
  template <int X, class V>
  HWY_INLINE void put(const V (&first)[X], const V (&second)[X], int i) const {
    float* p = to + i * step;
#pragma GCC unroll 8
    for (int o = 0; o < X; ++o, p += step) bf16::put(pair(first[o], second[o]), p);
  }
};

/// Stores a row of input gradients, masked by ReLU where the view has one. The results of the
/// flipped kernel belong to every STRIDE-th pixel.
template <int STRIDE>
struct ToMap {
  Bfloat16* to;      // pixel 0 of the row's gradient, channels of this vector
  std::size_t step;  // numbers from pixel to pixel
  const float*
      activated;   // the row of the input as the group read it, in pairs, from output 0's on
  int first;       // output 0's pixel; only if STRIDE is 2
  uint32_t which;  // the half of a pair that the pixels are; only if STRIDE is 2
  int width;
  bool relu;
  bool accumulate;

  template <int X, class V>
  HWY_INLINE void put(const V (&even)[X], const V (&odd)[X], int i) const {
    if constexpr (STRIDE == 1) {
      if (2 * (i + X) <= width) {
        if (relu && accumulate) return put_whole<true, true>(even, odd, i);
        if (relu) return put_whole<true, false>(even, odd, i);
        if (accumulate) return put_whole<false, true>(even, odd, i);
        return put_whole<false, false>(even, odd, i);
      }
    }
#pragma GCC unroll 8
    for (int o = 0; o < X; ++o) put_both(even[o], odd[o], i + o);
  }

 private:
  /// Stores pixels that all exist. With a stride of 1, ReLU and accumulation are tested only once.
  template <bool RELU, bool ACCUMULATE, int X, class V>
  HWY_INLINE void put_whole(const V (&even)[X], const V (&odd)[X], int i) const {
    const hn::DFromV<V> d;
    const auto lanes = static_cast<std::ptrdiff_t>(hn::Lanes(d));
    const float* s = activated + i * lanes;
    Bfloat16* p = to + static_cast<std::ptrdiff_t>(2 * i) * static_cast<std::ptrdiff_t>(step);
#pragma GCC unroll 8
    for (int o = 0; o < X; ++o, s += lanes, p += 2 * step) {
      V a = even[o];
      V b = odd[o];
      if constexpr (RELU) {
        a = keep_positive(s, kFirstOfPair, a);
        b = keep_positive(s, kSecondOfPair, b);
      }
      if constexpr (ACCUMULATE) {
        a = hn::Add(a, load(d, p));
        b = hn::Add(b, load(d, p + step));
      }
      put_each(bf16::round(a, b), p, p + step);
    }
  }
  template <class V>
  HWY_INLINE void put_both(V a, V b, int i) const {
    const hn::DFromV<V> d;
    const auto lanes = static_cast<std::ptrdiff_t>(hn::Lanes(d));
    if (relu) {
      // An activated value is not negative: see keep_positive().
      const float* s = activated + STRIDE * i * lanes;
      a = keep_positive(s, STRIDE == 1 ? kFirstOfPair : which, a);
      b = keep_positive(STRIDE == 1 ? s : s + lanes, STRIDE == 1 ? kSecondOfPair : which, b);
    }
    const int x = STRIDE == 1 ? 2 * i : first + 4 * i;
    Bfloat16* pa = to + static_cast<std::ptrdiff_t>(x) * static_cast<std::ptrdiff_t>(step);
    Bfloat16* pb = pa + STRIDE * step;
    const bool has_a = STRIDE == 1 || (x >= 0 && x < width);
    const bool has_b = x + STRIDE < width && (STRIDE == 1 || x + STRIDE >= 0);
    if (accumulate) {
      if (has_a) a = hn::Add(a, load(d, pa));
      if (has_b) b = hn::Add(b, load(d, pb));
    }
    if (has_a && has_b) return put_each(bf16::round(a, b), pa, pb);
    if (has_a) bf16::put(a, pa);
    if (has_b) bf16::put(b, pb);
  }
};

/// Computes the depthwise results of one output row, whose input rows are `rows`, for channels from
/// c on.
template <class D, class To>
HWY_INLINE void forward_row(D d, const SeparableArgs& args, const Bf16SeparablePlan& plan, int c,
                            const RingRows& rows, const To& to) {
  const float* w = plan.weights.depthwise + c * plan.weights.forward_taps;
  const float* input = plan.input.channels(c);
  const auto row = plan.input.row_floats(d);
  const int width = args.window.width;
  if (plan.stride == 1) {
    return neighbours_row(d, plan.multiply_add, width, args.window.left % 2 != 0, rows, input, row,
                          w, plan.row_pairs, to);
  }
  const bool fma = plan.multiply_add;
  if (width == 3) return row_of<Strided<3>>(d, fma, rows, input, row, w, 0, plan.row_pairs, to);
  if (width == 5) return row_of<Strided<5>>(d, fma, rows, input, row, w, 0, plan.row_pairs, to);
  row_of<Strided<7>>(d, fma, rows, input, row, w, 0, plan.row_pairs, to);
}

/// Calls work(tag, first channel, row of the tile, input rows) for output rows [y0, y1) and all
/// vectors of channels.
template <class Work>
HWY_INLINE void each_row(const SeparableArgs& args, const Bf16SeparablePlan& plan, int y0, int y1,
                         const Work& work) {
  for (int y = y0; y < y1; ++y) {
    const RingRows rows = rows_under(args, plan, y);
    each_vector(args.in.map.channels,
                [&](auto d, int c) RENAS_BF16_ATTR { work(d, c, y - y0, rows); });
  }
}

void separable_forward(const SeparableArgs& args, int first, int last, float* scratch,
                       float* sums) {
  const Bf16SeparablePlan plan(args, scratch);
  const Map& in = args.in.map;
  const Map& out = args.out.map;
  plan.input.clear();
  const std::size_t row_in = in.row();
  const std::size_t row_out = out.row();
  const std::size_t step = bf16_row(in.channels);
  Product product(args.bf16_kernels->amx, plan.transposed);
  Prefetcher prefetcher;
  for (int n = first; n < last; ++n) {
    int loaded = 0;
    for (int y0 = 0; y0 < out.height; y0 += plan.tile_rows) {
      const int y1 = std::min(out.height, y0 + plan.tile_rows);
      load_rows(args, plan, n, loaded, SeparablePlan::rows_read(args, y1), product);
      const int pixels = (y1 - y0) * out.width;
      prefetcher.clear();
      prefetcher.add(args.in.data, n * in.size() + loaded * row_in,
                     plan.tile_rows * plan.stride * row_in);
      prefetcher.spread(plan.vectors * (y1 - y0) +
                        product.pieces(pixels, out.channels, in.channels / 2));
      each_row(args, plan, y0, y1,
               [&](auto d, int c, int row, const RingRows& rows) RENAS_BF16_ATTR {
                 Bfloat16* to = plan.depthwise_rows + row * out.width * step + c;
                 forward_row(d, args, plan, c, rows, ToRows{to, step});
                 product.keep_awake();
                 prefetcher.issue();
               });
      const std::size_t at = n * out.size() + y0 * row_out;
      product.multiply(rows_of(plan.depthwise_rows, step), pixels, plan.weights.pointwise,
                       out.channels, in.channels / 2, ToOutput(args.out, at), prefetcher);
      accumulate_statistics(args.out, at, pixels, sums);
    }
  }
}

/// Stores one row of the depthwise result's gradient as pairs. Each row of the product is a pixel.
struct ToGradients : Sink {
  const Ring& ring;
  int y;

  HWY_INLINE ToGradients(const Ring& to, int row) : ring(to), y(row) {}
  template <int ROWS, class V>
  HWY_INLINE void put(const V (&v)[ROWS], int m, int column) {
    const hn::DFromV<V> d;
    const int lanes = static_cast<int>(hn::Lanes(d));
    float* to = ring.row(d, column, y) + (ring.before + m / 2) * lanes;
    // Pixels come as an even and an odd one.
    if constexpr (ROWS == 1) {
      bf16::put(pair(v[0], hn::Zero(d)), to);
    } else {
#pragma GCC unroll 8
      for (int r = 0; r < ROWS; r += 2, to += lanes) bf16::put(pair(v[r], v[r + 1]), to);
    }
  }
};

/// Computes and stores the gradient of input row iy, channels from c on. `rows` are the rows of
/// output gradients over it, `to` is its first pixel.
template <class D>
HWY_INLINE void store_gradient_row(D d, const SeparableArgs& args, const Bf16SeparablePlan& plan,
                                   int c, int iy, const RingRows& rows, Bfloat16* to) {
  const InputView& in = args.in;
  const WindowArgs& w = args.window;
  const int lanes = static_cast<int>(hn::Lanes(d));
  const std::size_t step = in.map.channels;
  const float* taps = plan.weights.depthwise_flipped + c * plan.weights.flipped_taps;
  const float* gradients = plan.gradients.channels(c);
  const auto row = plan.gradients.row_floats(d);
  const float* activated = plan.input.row(d, c, iy);
  if (plan.stride == 1) {
    const int left = w.width - 1 - w.left;
    return neighbours_row(d, plan.multiply_add, w.width, left % 2 != 0, rows, gradients, row, taps,
                          (in.map.width + 1) / 2,
                          ToMap<1>{to, step, activated + plan.input.before * lanes, 0, 0,
                                   in.map.width, in.relu, in.accumulate});
  }
  // Stride 2: input columns x with x + left even meet the kernel's even columns, the others its odd
  // ones. These are two kernels of half the width; output m of each lies at x = 2 m + odd - left.
  for (int odd = 0; odd < 2; ++odd) {
    const int columns = (w.width - odd + 1) / 2;
    const int start = plan.gradients.before - columns / 2;  // pairs under the first two outputs
    const int last = (in.map.width - 1 + w.left - odd) / 2;
    const ToMap<2> sink{
        to,           step,    activated,    odd - w.left, odd == 0 ? kFirstOfPair : kSecondOfPair,
        in.map.width, in.relu, in.accumulate};
    const int count = last / 2 + 1;
    const auto add_outputs = [&](auto pattern) RENAS_BF16_ATTR {
      using Pattern = decltype(pattern);
      row_of<Pattern>(d, plan.multiply_add, rows, gradients, row, taps, start, count, sink);
      taps += w.height * Pattern::kTaps * lanes;
    };
    if (columns == 1) add_outputs(Neighbours<1, false>());
    if (columns == 2) add_outputs(Neighbours<2, true>());
    if (columns == 3) add_outputs(Neighbours<3, false>());
    if (columns == 4) add_outputs(Neighbours<4, true>());
  }
}

/// Stores the gradients of input rows [done, ready), and adds the batch norm's backward sums of
/// them while they are in cache.
HWY_INLINE void store_gradient_rows(const SeparableArgs& args, const Bf16SeparablePlan& plan, int n,
                                    int& done, int ready, float* partial, const Product& product,
                                    Prefetcher& prefetcher) {
  const Map& in = args.in.map;
  const std::size_t step = in.channels;
  const int rows_at_once = std::max(1, kTilePixels / in.width);
  while (done < ready) {
    const int count = std::min(rows_at_once, ready - done);
    const std::size_t at = n * in.size() + (done * in.width) * step;
    for (int i = 0; i < count; ++i, ++done) {
      Bfloat16* to = args.in.gradient.as<Bfloat16>() + at + i * in.width * step;
      const RingRows rows = rows_over(args, plan, done);
      each_vector(in.channels, [&](auto d, int c) RENAS_BF16_ATTR {
        store_gradient_row(d, args, plan, c, done, rows, to + c);
        product.keep_awake();
        prefetcher.issue();
      });
    }
    accumulate_norm_sums(args.in, at, count * in.width, partial);
  }
}

void separable_backward(const SeparableArgs& args, int first, int last, float* scratch,
                        float* partial) {
  const Bf16SeparablePlan plan(args, scratch);
  const Map& in = args.in.map;
  const Map& out = args.out.map;
  plan.input.clear();
  plan.gradients.clear();
  plan.clear_padding(out.channels);
  const std::size_t row_in = in.row();
  const std::size_t tile_in = plan.tile_rows * plan.stride * row_in;
  const std::size_t row_out = out.row();
  const std::size_t tile_out = plan.tile_rows * row_out;
  const std::size_t depthwise_step = pair_row(in.channels);
  const std::size_t gradient_row = out.width * static_cast<std::size_t>(bf16_row(out.channels));
  const std::size_t gradient_columns =
      plan.row_pairs * static_cast<std::size_t>(pair_row(out.channels));
  Product product(args.bf16_kernels->amx, plan.transposed);
  Prefetcher prefetcher;
  for (int n = first; n < last; ++n) {
    int loaded = 0;
    int done = 0;
    for (int y0 = 0; y0 < out.height; y0 += plan.tile_rows) {
      const int y1 = std::min(out.height, y0 + plan.tile_rows);
      load_rows(args, plan, n, loaded, SeparablePlan::rows_read(args, y1), product);
      // Input rows below `ready` are read by no later output.
      const int ready = SeparablePlan::rows_done(args, y1);
      const std::size_t at_in = n * in.size();
      const std::size_t at_out = n * out.size();
      prefetcher.clear();
      const std::size_t next_out = at_out + y1 * row_out;
      prefetcher.add(args.out.gradient, next_out, tile_out);
      if (args.out.dy_scale != nullptr) prefetcher.add(args.out.data, next_out, tile_out);
      prefetcher.add(args.in.data, at_in + loaded * row_in, tile_in);
      if (args.in.gradient) {
        prefetcher.add(args.in.gradient, at_in + std::max(ready, 0) * row_in, tile_in);
      }
      const int pixels = (y1 - y0) * out.width;
      prefetcher.spread(2 * plan.vectors * (y1 - y0) +
                        product.pieces(pixels, in.channels, out.channels / 2) +
                        product.pieces(in.channels, out.channels, pixels / 2));

      for (int y = y0; y < y1; ++y) {
        const std::size_t row = y - y0;
        raw_gradients(args.out, at_out + y * row_out, out.width,
                      plan.gradient_rows + row * gradient_row,
                      plan.gradient_columns + row * gradient_columns);
        product.keep_awake();
      }
      each_row(args, plan, y0, y1,
               [&](auto d, int c, int row, const RingRows& rows) RENAS_BF16_ATTR {
                 float* to = plan.depthwise_columns + row * plan.row_pairs * depthwise_step + c;
                 forward_row(d, args, plan, c, rows, ToColumns{to, depthwise_step});
                 product.keep_awake();
                 prefetcher.issue();
               });
      product.multiply_transposed(plan.depthwise_columns, in.channels, plan.gradient_columns,
                                  out.channels, (y1 - y0) * plan.row_pairs,
                                  AddToFloats(partial + args.pointwise_gradient, out.channels),
                                  prefetcher);
      for (int y = y0; y < y1; ++y) {
        const std::size_t row = y - y0;
        product.multiply(rows_of(plan.gradient_rows + row * gradient_row, bf16_row(out.channels)),
                         out.width, plan.weights.pointwise_transposed, in.channels,
                         out.channels / 2, ToGradients(plan.gradients, y), prefetcher);
      }
      each_vector(in.channels, [&](auto d, int c) RENAS_BF16_ATTR {
        depthwise_weights(d, args, plan, c, y0, y1, partial + args.depthwise_gradient);
        product.keep_awake();
      });
      if (!args.in.gradient) continue;
      load_rows(args, plan, n, loaded, ready, product);
      store_gradient_rows(args, plan, n, done, ready, partial, product, prefetcher);
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

const SeparableKernels* kernels_for(const SeparableArgs& args) {
  static constexpr SeparableKernels kVectors = {false,
                                                N_AVX3::bf16::separable_packed,
                                                N_AVX3::bf16::separable_pack,
                                                N_AVX3::bf16::separable_scratch,
                                                N_AVX3::bf16::separable_forward,
                                                N_AVX3::bf16::separable_backward};
  static constexpr SeparableKernels kTiles = kVectors.with_amx();
  const WindowArgs& w = args.window;
  const bool taken = args.in.data.is_bf16() && args.out.data.is_bf16() &&
                     args.pointwise_gradient > 0 &&  // there is a 1x1 convolution
                     (w.stride_height == 1 || w.stride_height == 2) && w.dilation == 1 &&
                     w.height <= N_AVX3::bf16::kMaxKernelRows &&
                     (w.width == 3 || w.width == 5 || w.width == 7) && w.left >= 1 &&
                     SeparablePlan(args).lead >= 1;
  if (!taken || !available()) return nullptr;
  return has_amx() ? &kTiles : &kVectors;
}

#else

const SeparableKernels* kernels_for(const SeparableArgs&) { return nullptr; }

#endif

}  // namespace renas::cpu::bf16
#endif
