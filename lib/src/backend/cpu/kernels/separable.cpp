#include <algorithm>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/separable.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h:
#include "backend/cpu/kernels/ahead.h"
#include "backend/cpu/kernels/depthwise-inl.h"
#include "backend/cpu/kernels/gemm-inl.h"
#include "backend/cpu/kernels/pairs.h"
#include "backend/cpu/kernels/separable_plan.h"

HWY_BEFORE_NAMESPACE();
namespace renas::cpu {
namespace HWY_NAMESPACE {

/// Row y of a picture's input, which begins at `from`, normalised and cut off at zero, to its
/// blocked rows, which have room for the columns that the window reaches beyond the map. The room
/// is zero already.
template <class T>
HWY_INLINE void load_row(const SeparableArgs& args, const SeparablePlan& plan, const T* from, int y,
                         float* picture) {
  const Source& in = args.in;
  const auto step = static_cast<std::size_t>(in.map.channels);
  const V floor = floor_of(in);
  const int width = in.map.width;
  each_strip(in.map.channels, [&](auto strip, int c) HWY_ATTR {
    constexpr int N = strip;
    V scale[N];
    V shift[N];
    float* to[N];
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) {
      const int at = c + n * kLanes;
      scale[n] = in.scale == nullptr ? hn::Set(d, 1.0F) : load(in.scale + at);
      shift[n] = in.scale == nullptr ? zero() : load(in.shift + at);
      to[n] = picture + plan.row_in(at / kBlock, y) + args.window.left * kBlock + at % kBlock;
    }
    const T* p = from + c;
    for (int x = 0; x < width; ++x, p += step) {
#pragma GCC unroll 4
      for (int n = 0; n < N; ++n) {
        const V v = hn::MulAdd(scale[n], load(p + n * kLanes), shift[n]);
        store(hn::Max(floor, v), to[n] + x * kBlock);
      }
    }
  });
}

/// The columns beyond the map that the window reaches; all others are written for every picture.
HWY_INLINE void clear_picture(const SeparableArgs& args, const SeparablePlan& plan,
                              float* picture) {
  const Map& in = args.in.map;
  clear_edges(picture, static_cast<std::size_t>(plan.blocks * plan.rows_in), plan.width_in,
              args.window.left, args.window.left + in.width);
}

HWY_INLINE void load_rows(const SeparableArgs& args, const SeparablePlan& plan, int n, int& loaded,
                          int wanted, float* picture) {
  const Map& map = args.in.map;
  const std::size_t row = static_cast<std::size_t>(map.width * map.channels);
  typed(args.in.data, [&](auto* data) HWY_ATTR {
    data += static_cast<std::size_t>(n) * map.size();
    for (; loaded < wanted; ++loaded) {
      load_row(args, plan, data + static_cast<std::size_t>(loaded) * row, loaded, picture);
    }
  });
}

/// Input rows under output row y, of the first block of channels.
HWY_INLINE Rows rows_under(const SeparableArgs& args, const SeparablePlan& plan,
                           const float* picture, int y) {
  Rows rows;
  for (int r = 0; r < args.window.height; ++r) {
    const int iy = y * args.window.stride - args.window.top + r * args.window.dilation;
    rows.add(iy < 0 || iy >= args.in.map.height ? nullptr : picture + plan.row_in(0, iy));
  }
  return rows;
}

/// Rows of output gradients over input row iy, in the order of the flipped kernel, of the first
/// block of channels.
HWY_INLINE Rows rows_over(const SeparableArgs& args, const SeparablePlan& plan,
                          const float* gradients, int iy) {
  Rows rows;
  for (int r = 0; r < args.window.height; ++r) {
    const int at = iy + args.window.top - (args.window.height - 1 - r) * args.window.dilation;
    const int y = at / args.window.stride;
    const bool exists = at >= 0 && at % args.window.stride == 0 && y < args.out.map.height;
    rows.add(exists ? gradients + plan.row_out(0, y) : nullptr);
  }
  return rows;
}

/// Stores to a blocked row.
struct TileSink {
  float* to;
  template <int X>
  HWY_INLINE void put(const V (&v)[X], int x, int half) const {
    float* p = to + x * kBlock + half;
#pragma GCC unroll 8
    for (int o = 0; o < X; ++o) store(v[o], p + o * kBlock);
  }
};

/// Gives gradients to the source, where the reader saw something larger than zero. What is known
/// once for a map is asked for every few vectors here: cheaper than four copies of every kernel.
struct GradientSink {
  Cells to;            // of the row's first pixel and this block
  std::size_t step;    // from pixel to pixel
  const float* shown;  // blocked row of what the reader saw
  int shown_step;      // likewise
  bool relu;
  bool accumulate;

  HWY_INLINE GradientSink every_second(int first) const {
    return {to.from(static_cast<std::size_t>(first) * step),
            2 * step,
            shown + first * shown_step,
            2 * shown_step,
            relu,
            accumulate};
  }
  template <int X>
  HWY_INLINE void put(const V (&v)[X], int x, int half) const {
    V g[X];
#pragma GCC unroll 8
    for (int o = 0; o < X; ++o) g[o] = v[o];
    if (relu) {
      const float* s = shown + x * shown_step + half;
#pragma GCC unroll 8
      for (int o = 0; o < X; ++o) {
        g[o] = hn::IfThenElseZero(hn::Gt(load(s + o * shown_step), zero()), g[o]);
      }
    }
    typed(to, [&](auto* p) HWY_ATTR { put_at(g, p + static_cast<std::size_t>(x) * step + half); });
  }

 private:
  template <int X, class T>
  HWY_INLINE void put_at(V (&g)[X], T* p) const {
    if (accumulate) {
#pragma GCC unroll 8
      for (int o = 0; o < X; ++o) {
        g[o] = hn::Add(g[o], load(p + static_cast<std::size_t>(o) * step));
      }
    }
#pragma GCC unroll 8
    for (int o = 0; o < X; ++o) store(g[o], p + static_cast<std::size_t>(o) * step);
  }
};

/// Depthwise results of output rows [y0, y1) to a blocked tile.
HWY_INLINE void depthwise_tile(const SeparableArgs& args, const SeparablePlan& plan,
                               const float* picture, int y0, int y1, float* tile, Ahead& ahead) {
  const int width = args.out.map.width;
  const auto pixels = static_cast<std::size_t>(y1 - y0) * static_cast<std::size_t>(width);
  for (int y = y0; y < y1; ++y) {
    Rows rows = rows_under(args, plan, picture, y);
    float* to = tile + static_cast<std::size_t>((y - y0) * width) * kBlock;
    for (int block = 0; block < plan.blocks; ++block) {
      rows.start = block * static_cast<std::ptrdiff_t>(plan.plane_in);
      depthwise_row(rows, args.depthwise + static_cast<std::size_t>(block) * plan.weights,
                    args.window.width, args.window.stride, args.window.dilation, width,
                    TileSink{to + static_cast<std::size_t>(block) * pixels * kBlock});
      ahead.some();
    }
  }
}

/// A blocked tile to pixels of `channels`.
HWY_INLINE void from_blocks(const float* tile, int pixels, int channels, float* out) {
  for (int c = 0; c < channels; c += kLanes) {
    const float* from = tile + c / kBlock * pixels * kBlock + c % kBlock;
    float* to = out + c;
    for (int p = 0; p < pixels; ++p, to += channels) store(load(from + p * kBlock), to);
  }
}

void separable_forward(const SeparableArgs& args, int first, int last, float* scratch,
                       float* sums) {
  const SeparablePlan plan(args);
  float* picture = scratch;
  float* tile = picture + plan.picture_size;
  float* room = tile + plan.tile_size;
  clear_picture(args, plan, picture);
  const Map& map = args.out.map;
  const auto row = static_cast<std::size_t>(map.width) * static_cast<std::size_t>(map.channels);
  const auto row_in = static_cast<std::size_t>(args.in.map.width * args.in.map.channels);
  const std::size_t tile_in =
      static_cast<std::size_t>(plan.tile_rows * args.window.stride) * row_in;
  Ahead ahead;
  for (int n = first; n < last; ++n) {
    int loaded = 0;
    for (int y0 = 0; y0 < map.height; y0 += plan.tile_rows) {
      const int y1 = std::min(map.height, y0 + plan.tile_rows);
      load_rows(args, plan, n, loaded, plan.rows_read(args, y1), picture);
      const int pixels = (y1 - y0) * map.width;
      ahead.clear();
      ahead.add(args.in.data,
                static_cast<std::size_t>(n) * args.in.map.size() +
                    static_cast<std::size_t>(loaded) * row_in,
                tile_in);
      ahead.spread(plan.blocks * (y1 - y0) + micro_steps(pixels, map.channels));
      const std::size_t at =
          static_cast<std::size_t>(n) * map.size() + static_cast<std::size_t>(y0) * row;
      depthwise_tile(args, plan, picture, y0, y1, tile, ahead);
      if (args.pointwise != nullptr) {
        const Matrix<const float> a{tile, kBlock, static_cast<std::size_t>(pixels) * kBlock};
        const auto channels = static_cast<std::size_t>(map.channels);
        const auto multiply_to = [&](const auto& to) HWY_ATTR {
          product(a, args.pointwise, channels, to, pixels, map.channels, args.in.map.channels,
                  &ahead);
        };
        if (args.out.data.half()) {
          multiply_to(StoreHalf{args.out.data.as<Bfloat16>() + at, channels, nullptr});
        } else {
          multiply_to(Store{{args.out.data.as<float>() + at, channels, kBlock}, false});
        }
      } else {
        float* out = tile_of(args.out, at, room);
        from_blocks(tile, pixels, map.channels, out);
        store_tile(args.out, at, static_cast<std::size_t>(pixels), out);
      }
      take_statistics(args.out, at, static_cast<std::size_t>(pixels), sums);
    }
  }
}

/// Output gradients of rows [y0, y1) through the 1x1 convolution: its weight gradient, and the
/// depthwise result's gradient into the rows that the depthwise backward reads.
HWY_INLINE void pointwise_backward(const SeparableArgs& args, const SeparablePlan& plan, int n,
                                   int y0, int y1, float* tile, float* raw, float* gradients,
                                   const float* picture, float* area, Ahead& ahead) {
  const Map& map = args.out.map;
  const auto channels = static_cast<std::size_t>(map.channels);
  const int pixels = (y1 - y0) * map.width;
  const std::size_t at = static_cast<std::size_t>(n) * map.size() +
                         static_cast<std::size_t>(y0 * map.width) * channels;
  const float* g = output_gradients(args.out, at, pixels, raw);
  if (args.pointwise == nullptr) {
    for (int block = 0; block < plan.blocks; ++block) {
      for (int y = y0; y < y1; ++y) {
        float* to = gradients + plan.gradient_at(block, y);
        for (int x = 0; x < map.width; ++x) {
          for (int half = 0; half < kBlock; half += kLanes) {
            store(load(g + static_cast<std::size_t>((y - y0) * map.width + x) * channels +
                       block * kBlock + half),
                  to + x * kBlock + half);
          }
        }
      }
    }
    return;
  }
  depthwise_tile(args, plan, picture, y0, y1, tile, ahead);
  add_transposed_product({tile, kBlock, static_cast<std::size_t>(pixels) * kBlock}, g, channels,
                         area + args.pointwise_gradient, args.in.map.channels, map.channels, pixels,
                         &ahead);
  for (int y = y0; y < y1; ++y) {
    product({g + static_cast<std::size_t>((y - y0) * map.width) * channels, channels, kBlock},
            args.pointwise_transposed, static_cast<std::size_t>(args.in.map.channels),
            Store{{gradients + plan.gradient_at(0, y), kBlock, plan.plane_out}, false}, map.width,
            args.in.map.channels, map.channels, &ahead);
  }
}

/// The data gradient of input row iy.
HWY_INLINE void give_row(const SeparableArgs& args, const SeparablePlan& plan, int n, int iy,
                         const float* gradients, const float* picture, Ahead& ahead) {
  const Map& in = args.in.map;
  const auto step = static_cast<std::size_t>(in.channels);
  const Cells to = args.in.gradient.from(static_cast<std::size_t>(n) * in.size() +
                                         static_cast<std::size_t>(iy * in.width) * step);
  const WindowArgs& w = args.window;
  Rows rows = rows_over(args, plan, gradients, iy);
  for (int block = 0; block < plan.blocks; ++block) {
    rows.start = block * static_cast<std::ptrdiff_t>(plan.plane_out);
    const float* weights = args.depthwise_flipped + static_cast<std::size_t>(block) * plan.weights;
    const GradientSink sink{to.from(static_cast<std::size_t>(block) * kBlock),
                            step,
                            picture + plan.row_in(block, iy) + w.left * kBlock,
                            kBlock,
                            args.in.relu,
                            args.in.accumulate};
    if (w.stride == 1) {
      depthwise_row(rows, weights, w.width, 1, w.dilation, in.width, sink);
    } else {
      strided_gradient_row(
          {rows, weights, w.width, w.stride, w.dilation, w.left, plan.lead, args.out.map.width},
          in.width, sink);
    }
    ahead.some();
  }
}

/// The data gradient of input rows [given, ready), and the batch norm's sums of it while it is in
/// cache.
HWY_INLINE void give_rows(const SeparableArgs& args, const SeparablePlan& plan, int n, int& given,
                          int ready, const float* gradients, const float* picture, float* area,
                          Ahead& ahead) {
  const Map& in = args.in.map;
  const int some = std::max(1, kTilePixels / in.width);
  while (given < ready) {
    const int rows = std::min(some, ready - given);
    const std::size_t at = static_cast<std::size_t>(n) * in.size() +
                           static_cast<std::size_t>(given * in.width * in.channels);
    for (int r = 0; r < rows; ++r, ++given) {
      give_row(args, plan, n, given, gradients, picture, ahead);
    }
    take_norm_sums(args.in, at, static_cast<std::size_t>(rows * in.width), area);
  }
}

void separable_backward(const SeparableArgs& args, int first, int last, float* scratch,
                        float* area) {
  const SeparablePlan plan(args);
  float* picture = scratch;
  float* gradients = picture + plan.picture_size;
  float* tile = gradients + plan.gradients_size;
  float* raw = tile + plan.tile_size;
  clear_picture(args, plan, picture);
  const Map& in = args.in.map;
  const Map& out = args.out.map;
  clear_edges(gradients, static_cast<std::size_t>(plan.blocks * plan.rows_out), plan.width_out,
              plan.lead, plan.lead + out.width);
  const auto row_in = static_cast<std::size_t>(in.width * in.channels);
  const std::size_t tile_in =
      static_cast<std::size_t>(plan.tile_rows * args.window.stride) * row_in;
  const auto row_out = static_cast<std::size_t>(out.width * out.channels);
  const std::size_t tile_out = static_cast<std::size_t>(plan.tile_rows) * row_out;
  Ahead ahead;
  for (int n = first; n < last; ++n) {
    int loaded = 0;
    int given = 0;
    for (int y0 = 0; y0 < out.height; y0 += plan.tile_rows) {
      const int y1 = std::min(out.height, y0 + plan.tile_rows);
      load_rows(args, plan, n, loaded, plan.rows_read(args, y1), picture);
      // Input rows that no later output touches.
      const int ready = plan.rows_done(args, y1);
      const std::size_t at_in = static_cast<std::size_t>(n) * in.size();
      const std::size_t at_out =
          static_cast<std::size_t>(n) * out.size() + static_cast<std::size_t>(y1) * row_out;
      ahead.clear();
      ahead.add(args.out.gradient, at_out, tile_out);
      if (args.out.by_gradient != nullptr) ahead.add(args.out.data, at_out, tile_out);
      ahead.add(args.in.data, at_in + static_cast<std::size_t>(loaded) * row_in, tile_in);
      if (args.in.gradient) {
        ahead.add(args.in.gradient, at_in + static_cast<std::size_t>(std::max(ready, 0)) * row_in,
                  tile_in);
      }
      ahead.spread(2 * plan.blocks * (y1 - y0) + micro_steps((y1 - y0) * out.width, in.channels) +
                   micro_steps(in.channels, out.channels));
      pointwise_backward(args, plan, n, y0, y1, tile, raw, gradients, picture, area, ahead);
      for (int y = y0; y < y1; ++y) {
        Rows rows = rows_under(args, plan, picture, y);
        for (int block = 0; block < plan.blocks; ++block) {
          rows.start = block * static_cast<std::ptrdiff_t>(plan.plane_in);
          depthwise_weights(
              gradients + plan.gradient_at(block, y), rows, args.window.width, args.window.stride,
              args.window.dilation, out.width,
              area + args.depthwise_gradient + static_cast<std::size_t>(block) * plan.weights);
        }
      }
      if (!args.in.gradient) continue;
      load_rows(args, plan, n, loaded, ready, picture);
      give_rows(args, plan, n, given, ready, gradients, picture, area, ahead);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace renas::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace renas::cpu {

HWY_EXPORT(separable_forward);
HWY_EXPORT(separable_backward);

std::size_t separable_scratch(const SeparableArgs& args) {
  if (args.pairs != nullptr) return args.pairs->scratch(args);
  const SeparablePlan plan(args);
  return plan.picture_size + plan.gradients_size + plan.tile_size + plan.raw_size;
}

void separable_forward(const SeparableArgs& args, int first, int last, float* scratch,
                       float* sums) {
  if (args.pairs != nullptr) {
    return args.pairs->forward(args, first, last, scratch, sums);
  }
  HWY_DYNAMIC_DISPATCH(separable_forward)(args, first, last, scratch, sums);
}

void separable_backward(const SeparableArgs& args, int first, int last, float* scratch,
                        float* area) {
  if (args.pairs != nullptr) {
    return args.pairs->backward(args, first, last, scratch, area);
  }
  HWY_DYNAMIC_DISPATCH(separable_backward)(args, first, last, scratch, area);
}

}  // namespace renas::cpu
#endif
