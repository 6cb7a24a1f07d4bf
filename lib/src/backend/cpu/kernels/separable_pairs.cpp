#include "backend/cpu/kernels/pairs.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/separable_pairs.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h:
#include "backend/cpu/kernels/vector-inl.h"

#if HWY_TARGET == HWY_AVX3
#include "backend/cpu/kernels/depthwise_pairs-inl.h"

RENAS_PAIRS_BEFORE_NAMESPACE();
namespace renas::cpu {
namespace HWY_NAMESPACE {
namespace pairs {

std::size_t separable_packed(const SeparableArgs& args) {
  return PairedWeights<float>(args, nullptr).parts.taken();
}

void separable_pack(const SeparableArgs& args, bool backward, float* to) {
  const PairedWeights<float> weights(args, to);
  const int in = args.in.map.channels;
  const int out = args.out.map.channels;
  pack_forward(args, weights);
  pack_weights(args.pointwise, in, out, weights.pointwise);
  if (!backward) return;
  pack_flipped(args, weights);
  pack_weights(args.pointwise_transposed, out, in, weights.pointwise_transposed);
}

std::size_t separable_scratch(const SeparableArgs& args) {
  return PairPlan(args, nullptr).parts.taken();
}

/// Row y of a picture's input, which begins at `from`, normalised and cut off at zero.
HWY_INLINE void load_row(const SeparableArgs& args, const PairPlan& plan, const Bfloat16* from,
                         int y) {
  const Source& in = args.in;
  const auto step = static_cast<std::size_t>(in.map.channels);
  const int width = in.map.width;
  // With a stride of 2 the window's reach to the left counts as columns.
  const int first = plan.stride == 1 ? 0 : -args.window.left;
  each_vector(in.map.channels, [&](auto d, int c) RENAS_PAIRS_ATTR {
    const auto scale = in.scale == nullptr ? hn::Set(d, 1.0F) : hn::LoadU(d, in.scale + c);
    const auto shift = in.scale == nullptr ? hn::Zero(d) : hn::LoadU(d, in.shift + c);
    const auto floor = in.relu ? hn::Zero(d) : hn::Set(d, -std::numeric_limits<float>::infinity());
    const Bfloat16* p = from + c;
    // In this order x86 returns a NaN as it is.
    const auto shown = [&](int x) RENAS_PAIRS_ATTR {
      const auto value = load(d, p + static_cast<std::size_t>(x) * step);
      return hn::Max(floor, hn::MulAdd(scale, value, shift));
    };
    const int lanes = static_cast<int>(hn::Lanes(d));
    float* to = plan.picture.row(d, c, y) + plan.picture.before * lanes;
    int x = first;
    for (; x < 0; x += 2, to += lanes) {
      if (x + 1 >= 0) put(pair(hn::Zero(d), shown(0)), to);
    }
    for (; x + 1 < width; x += 2, to += lanes) put(pair(shown(x), shown(x + 1)), to);
    if (x < width) put(pair(shown(x), hn::Zero(d)), to);
  });
}

HWY_INLINE void load_rows(const SeparableArgs& args, const PairPlan& plan, int n, int& loaded,
                          int wanted) {
  const Map& map = args.in.map;
  const std::size_t row = static_cast<std::size_t>(map.width * map.channels);
  const Bfloat16* data = args.in.data.as<Bfloat16>() + static_cast<std::size_t>(n) * map.size();
  for (; loaded < wanted; ++loaded) {
    load_row(args, plan, data + static_cast<std::size_t>(loaded) * row, loaded);
  }
}

/// Depthwise results to rows of bfloat16, one a pixel. An odd row's last vector has a pixel too
/// many, which the next row overwrites.
struct ToRows {
  Bfloat16* to;  // of the row's first pixel, these channels
  std::size_t step;
  template <int X, class V>
  HWY_INLINE void put(const V (&first)[X], const V (&second)[X], int i) const {
    Bfloat16* p = to + static_cast<std::size_t>(2 * i) * step;
#pragma GCC unroll 8
    for (int o = 0; o < X; ++o, p += 2 * step) {
      put_each(pairs::round(first[o], second[o]), p, p + step);
    }
  }
};

/// To columns: pairs of one pixel and the next.
struct ToColumns {
  float* to;
  std::size_t step;
  template <int X, class V>
  HWY_INLINE void put(const V (&first)[X], const V (&second)[X], int i) const {
    float* p = to + static_cast<std::size_t>(i) * step;
#pragma GCC unroll 8
    for (int o = 0; o < X; ++o, p += step) pairs::put(pair(first[o], second[o]), p);
  }
};

/// Gives gradients to the source, where the reader saw something larger than zero: outputs of the
/// flipped kernel to every STRIDE-th pixel.
template <int STRIDE>
struct ToMap {
  Bfloat16* to;        // the row's pixel 0, these channels
  std::size_t step;    // from pixel to pixel
  const float* shown;  // the row's pairs, from output 0's
  int first;           // output 0's pixel, if STRIDE is 2
  uint32_t half;       // of a pair, that the pixels are, if STRIDE is 2
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
  /// Of stride 1, where all pixels exist: what is asked for each is asked once.
  template <bool RELU, bool ACCUMULATE, int X, class V>
  HWY_INLINE void put_whole(const V (&even)[X], const V (&odd)[X], int i) const {
    const hn::DFromV<V> d;
    const auto lanes = static_cast<std::ptrdiff_t>(hn::Lanes(d));
    const float* s = shown + i * lanes;
    Bfloat16* p = to + static_cast<std::ptrdiff_t>(2 * i) * static_cast<std::ptrdiff_t>(step);
#pragma GCC unroll 8
    for (int o = 0; o < X; ++o, s += lanes, p += 2 * step) {
      V a = even[o];
      V b = odd[o];
      if constexpr (RELU) {
        a = where(s, kFirstOfPair, a);
        b = where(s, kSecondOfPair, b);
      }
      if constexpr (ACCUMULATE) {
        a = hn::Add(a, load(d, p));
        b = hn::Add(b, load(d, p + step));
      }
      put_each(pairs::round(a, b), p, p + step);
    }
  }
  template <class V>
  HWY_INLINE void put_both(V a, V b, int i) const {
    const hn::DFromV<V> d;
    const auto lanes = static_cast<std::ptrdiff_t>(hn::Lanes(d));
    if (relu) {
      // What the reader saw is not negative.
      const float* s = shown + STRIDE * i * lanes;
      a = where(s, STRIDE == 1 ? kFirstOfPair : half, a);
      b = where(STRIDE == 1 ? s : s + lanes, STRIDE == 1 ? kSecondOfPair : half, b);
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
    if (has_a && has_b) return put_each(pairs::round(a, b), pa, pb);
    if (has_a) pairs::put(a, pa);
    if (has_b) pairs::put(b, pb);
  }
};

/// Depthwise results of the output row over `rows`, channels from c on.
template <class D, class To>
HWY_INLINE void forward_row(D d, const SeparableArgs& args, const PairPlan& plan, int c,
                            const Slots& rows, const To& to) {
  const float* w = plan.weights.depthwise + c * plan.weights.forward_taps;
  const float* picture = plan.picture.channels(c);
  const auto row = plan.picture.row_floats(d);
  const int width = args.window.width;
  if (plan.stride == 1) {
    return neighbours_row(d, width, args.window.left % 2 != 0, rows, picture, row, w,
                          plan.row_pairs, to);
  }
  if (width == 3) return row_of<Strided<3>>(d, rows, picture, row, w, 0, plan.row_pairs, to);
  if (width == 5) return row_of<Strided<5>>(d, rows, picture, row, w, 0, plan.row_pairs, to);
  row_of<Strided<7>>(d, rows, picture, row, w, 0, plan.row_pairs, to);
}

/// Calls work(vector's tag, first channel, row of the tile, rows under it) for output rows
/// [y0, y1).
template <class Work>
HWY_INLINE void each_row(const SeparableArgs& args, const PairPlan& plan, int y0, int y1,
                         const Work& work) {
  for (int y = y0; y < y1; ++y) {
    const Slots rows = rows_under(args, plan, y);
    each_vector(args.in.map.channels,
                [&](auto d, int c) RENAS_PAIRS_ATTR { work(d, c, y - y0, rows); });
  }
}

void separable_forward(const SeparableArgs& args, int first, int last, float* scratch,
                       float* sums) {
  const PairPlan plan(args, scratch);
  const Map& in = args.in.map;
  const Map& out = args.out.map;
  plan.picture.clear();
  const auto row_in = static_cast<std::size_t>(in.width * in.channels);
  const auto row_out = static_cast<std::size_t>(out.width * out.channels);
  const auto channels = static_cast<std::size_t>(in.channels);
  Ahead ahead;
  for (int n = first; n < last; ++n) {
    int loaded = 0;
    for (int y0 = 0; y0 < out.height; y0 += plan.tile_rows) {
      const int y1 = std::min(out.height, y0 + plan.tile_rows);
      load_rows(args, plan, n, loaded, SeparablePlan::rows_read(args, y1));
      const int pixels = (y1 - y0) * out.width;
      ahead.clear();
      ahead.add(args.in.data,
                static_cast<std::size_t>(n) * in.size() + static_cast<std::size_t>(loaded) * row_in,
                static_cast<std::size_t>(plan.tile_rows * plan.stride) * row_in);
      ahead.spread(plan.vectors * (y1 - y0) + micro_steps(pixels, out.channels, in.channels / 2));
      each_row(args, plan, y0, y1, [&](auto d, int c, int row, const Slots& rows) RENAS_PAIRS_ATTR {
        Bfloat16* to = plan.tile_halves + static_cast<std::size_t>(row * out.width) * channels + c;
        forward_row(d, args, plan, c, rows, ToRows{to, channels});
        ahead.some();
      });
      const std::size_t at =
          static_cast<std::size_t>(n) * out.size() + static_cast<std::size_t>(y0) * row_out;
      multiply(rows_of(plan.tile_halves, in.channels), pixels, plan.weights.pointwise, out.channels,
               in.channels / 2, ToOutput(args.out, at), ahead);
      take_statistics(args.out, at, pixels, sums);
    }
  }
}

/// One row of the depthwise result's gradient, as pairs; a row of the product is a pixel.
struct ToGradients : Sink {
  const Ring& ring;
  int y;

  HWY_INLINE ToGradients(const Ring& to, int row) : ring(to), y(row) {}
  template <int ROWS, class V>
  HWY_INLINE void put(const V (&v)[ROWS], int m, int column) {
    const hn::DFromV<V> d;
    const int lanes = static_cast<int>(hn::Lanes(d));
    float* to = ring.row(d, column, y) + (ring.before + m / 2) * lanes;
    // Rows go down by 16, 8, ... to 1: pixels are even and odd.
    if constexpr (ROWS == 1) {
      pairs::put(pair(v[0], hn::Zero(d)), to);
    } else {
#pragma GCC unroll 8
      for (int r = 0; r < ROWS; r += 2, to += lanes) pairs::put(pair(v[r], v[r + 1]), to);
    }
  }
};

/// The data gradient of input row iy, under `rows`, channels from c on; `to`: its first pixel's.
template <class D>
HWY_INLINE void give_row(D d, const SeparableArgs& args, const PairPlan& plan, int c, int iy,
                         const Slots& rows, Bfloat16* to) {
  const Source& in = args.in;
  const WindowArgs& w = args.window;
  const int lanes = static_cast<int>(hn::Lanes(d));
  const auto step = static_cast<std::size_t>(in.map.channels);
  const float* taps = plan.weights.depthwise_flipped + c * plan.weights.flipped_taps;
  const float* gradients = plan.gradients.channels(c);
  const auto row = plan.gradients.row_floats(d);
  const float* shown = plan.picture.row(d, c, iy);
  if (plan.stride == 1) {
    const int left = w.width - 1 - w.left;
    return neighbours_row(d, w.width, left % 2 != 0, rows, gradients, row, taps,
                          (in.map.width + 1) / 2,
                          ToMap<1>{to, step, shown + plan.picture.before * lanes, 0, 0,
                                   in.map.width, in.relu, in.accumulate});
  }
  // Input columns x with x + left even meet the even columns of the kernel, the others the odd
  // ones: kernels of half the width, under which output m is at x = 2 m + odd - left.
  for (int odd = 0; odd < 2; ++odd) {
    const int columns = (w.width - odd + 1) / 2;
    const int start = plan.gradients.before - columns / 2;  // pairs under the first two outputs
    const int last = (in.map.width - 1 + w.left - odd) / 2;
    const ToMap<2> sink{
        to,           step,    shown,        odd - w.left, odd == 0 ? kFirstOfPair : kSecondOfPair,
        in.map.width, in.relu, in.accumulate};
    const int count = last / 2 + 1;
    const auto give = [&](auto meeting) RENAS_PAIRS_ATTR {
      using Meeting = decltype(meeting);
      row_of<Meeting>(d, rows, gradients, row, taps, start, count, sink);
      taps += w.height * Meeting::kTaps * lanes;
    };
    if (columns == 1) give(Neighbours<1, false>());
    if (columns == 2) give(Neighbours<2, true>());
    if (columns == 3) give(Neighbours<3, false>());
    if (columns == 4) give(Neighbours<4, true>());
  }
}

/// The data gradient of input rows [given, ready), and the batch norm's sums of it while it is in
/// cache.
HWY_INLINE void give_rows(const SeparableArgs& args, const PairPlan& plan, int n, int& given,
                          int ready, float* area, Ahead& ahead) {
  const Map& in = args.in.map;
  const auto step = static_cast<std::size_t>(in.channels);
  const int some = std::max(1, kTilePixels / in.width);
  while (given < ready) {
    const int count = std::min(some, ready - given);
    const std::size_t at =
        static_cast<std::size_t>(n) * in.size() + static_cast<std::size_t>(given * in.width) * step;
    for (int i = 0; i < count; ++i, ++given) {
      Bfloat16* to =
          args.in.gradient.as<Bfloat16>() + at + static_cast<std::size_t>(i * in.width) * step;
      const Slots rows = rows_over(args, plan, given);
      each_vector(in.channels, [&](auto d, int c) RENAS_PAIRS_ATTR {
        give_row(d, args, plan, c, given, rows, to + c);
        ahead.some();
      });
    }
    take_norm_sums(args.in, at, count * in.width, area);
  }
}

void separable_backward(const SeparableArgs& args, int first, int last, float* scratch,
                        float* area) {
  const PairPlan plan(args, scratch);
  const Map& in = args.in.map;
  const Map& out = args.out.map;
  plan.picture.clear();
  plan.gradients.clear();
  plan.clear_nothing();
  const auto row_in = static_cast<std::size_t>(in.width * in.channels);
  const std::size_t tile_in = static_cast<std::size_t>(plan.tile_rows * plan.stride) * row_in;
  const auto row_out = static_cast<std::size_t>(out.width * out.channels);
  const std::size_t tile_out = static_cast<std::size_t>(plan.tile_rows) * row_out;
  const auto in_channels = static_cast<std::size_t>(in.channels);
  const auto out_channels = static_cast<std::size_t>(out.channels);
  Ahead ahead;
  for (int n = first; n < last; ++n) {
    int loaded = 0;
    int given = 0;
    for (int y0 = 0; y0 < out.height; y0 += plan.tile_rows) {
      const int y1 = std::min(out.height, y0 + plan.tile_rows);
      load_rows(args, plan, n, loaded, SeparablePlan::rows_read(args, y1));
      // Input rows that no later output touches.
      const int ready = SeparablePlan::rows_done(args, y1);
      const std::size_t at_in = static_cast<std::size_t>(n) * in.size();
      const std::size_t at_out = static_cast<std::size_t>(n) * out.size();
      ahead.clear();
      const std::size_t next_out = at_out + static_cast<std::size_t>(y1) * row_out;
      ahead.add(args.out.gradient, next_out, tile_out);
      if (args.out.by_gradient != nullptr) ahead.add(args.out.data, next_out, tile_out);
      ahead.add(args.in.data, at_in + static_cast<std::size_t>(loaded) * row_in, tile_in);
      if (args.in.gradient) {
        ahead.add(args.in.gradient, at_in + static_cast<std::size_t>(std::max(ready, 0)) * row_in,
                  tile_in);
      }
      const int pixels = (y1 - y0) * out.width;
      ahead.spread(2 * plan.vectors * (y1 - y0) +
                   micro_steps(pixels, in.channels, out.channels / 2) +
                   micro_steps(in.channels, out.channels, pixels / 2));

      for (int y = y0; y < y1; ++y) {
        const auto row = static_cast<std::size_t>(y - y0);
        fold(args.out, at_out + static_cast<std::size_t>(y) * row_out, out.width,
             plan.gradient_rows + row * row_out,
             plan.gradient_columns + row * static_cast<std::size_t>(plan.row_pairs) * out_channels);
      }
      each_row(args, plan, y0, y1, [&](auto d, int c, int row, const Slots& rows) RENAS_PAIRS_ATTR {
        float* to =
            plan.tile_columns + static_cast<std::size_t>(row * plan.row_pairs) * in_channels + c;
        forward_row(d, args, plan, c, rows, ToColumns{to, in_channels});
        ahead.some();
      });
      multiply({plan.tile_columns, 1, in_channels}, in.channels, plan.gradient_columns,
               out.channels, (y1 - y0) * plan.row_pairs,
               ToFloats(area + args.pointwise_gradient, out_channels, true), ahead);
      for (int y = y0; y < y1; ++y) {
        const auto row = static_cast<std::size_t>(y - y0);
        multiply(rows_of(plan.gradient_rows + row * row_out, out.channels), out.width,
                 plan.weights.pointwise_transposed, in.channels, out.channels / 2,
                 ToGradients(plan.gradients, y), ahead);
      }
      each_vector(in.channels, [&](auto d, int c) RENAS_PAIRS_ATTR {
        depthwise_weights(d, args, plan, c, y0, y1, area + args.depthwise_gradient);
      });
      if (!args.in.gradient) continue;
      load_rows(args, plan, n, loaded, ready);
      give_rows(args, plan, n, given, ready, area, ahead);
    }
  }
}

}  // namespace pairs
}  // namespace HWY_NAMESPACE
}  // namespace renas::cpu
HWY_AFTER_NAMESPACE();
#endif  // HWY_TARGET == HWY_AVX3

#if HWY_ONCE
namespace renas::cpu::pairs {

#if HWY_TARGETS & HWY_AVX3

const SeparableKernels* kernels_for(const SeparableArgs& args) {
  static constexpr SeparableKernels kKernels = {
      N_AVX3::pairs::separable_packed, N_AVX3::pairs::separable_pack,
      N_AVX3::pairs::separable_scratch, N_AVX3::pairs::separable_forward,
      N_AVX3::pairs::separable_backward};
  const WindowArgs& w = args.window;
  const bool taken = args.in.data.half() && args.out.data.half() &&
                     args.pointwise_gradient > 0 &&  // there is a 1x1 convolution
                     (w.stride == 1 || w.stride == 2) && w.dilation == 1 &&
                     w.height <= N_AVX3::pairs::kMostRows &&
                     (w.width == 3 || w.width == 5 || w.width == 7) && w.left >= 1 &&
                     SeparablePlan(args).lead >= 1;
  return taken && available() ? &kKernels : nullptr;
}

#else

const SeparableKernels* kernels_for(const SeparableArgs&) { return nullptr; }

#endif

}  // namespace renas::cpu::pairs
#endif
