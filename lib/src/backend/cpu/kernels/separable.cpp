#include <algorithm>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/separable.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h:
#include "backend/cpu/kernels/bf16_kernels.h"
#include "backend/cpu/kernels/depthwise-inl.h"
#include "backend/cpu/kernels/gemm-inl.h"
#include "backend/cpu/kernels/prefetcher.h"
#include "backend/cpu/kernels/separable_plan.h"

HWY_BEFORE_NAMESPACE();
namespace renas::cpu {
namespace HWY_NAMESPACE {

/// Activates row y of an image, which begins at `from`, into the blocked rows of `input`. These
/// have room for the columns that the window reaches beyond the map, which are zero already.
template <class T>
HWY_INLINE void load_row(const SeparableArgs& args, const SeparablePlan& plan, const T* from, int y,
                         float* input) {
  const InputView& in = args.in;
  const std::size_t step = in.map.channels;
  const V floor = relu_floor(in);
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
      to[n] = input + plan.row_in(at / kBlock, y) + args.window.left * kBlock + at % kBlock;
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

/// Zeroes the columns that the window reaches beyond the map. All other columns are written for
/// every image.
HWY_INLINE void clear_padding(const SeparableArgs& args, const SeparablePlan& plan, float* input) {
  const Map& in = args.in.map;
  clear_edges(input, plan.blocks * plan.rows_in, plan.width_in, args.window.left,
              args.window.left + in.width);
}

HWY_INLINE void load_rows(const SeparableArgs& args, const SeparablePlan& plan, int n, int& loaded,
                          int wanted, float* input) {
  const Map& map = args.in.map;
  const std::size_t row = map.row();
  typed(args.in.data, [&](auto* data) HWY_ATTR {
    data += n * map.size();
    for (; loaded < wanted; ++loaded) {
      load_row(args, plan, data + loaded * row, loaded, input);
    }
  });
}

/// The input rows under output row y, of the first block of channels.
HWY_INLINE InputRows rows_under(const SeparableArgs& args, const SeparablePlan& plan,
                                const float* input, int y) {
  InputRows rows;
  for (int r = 0; r < args.window.height; ++r) {
    const int iy = y * args.window.stride_height - args.window.top + r * args.window.dilation;
    rows.add(iy < 0 || iy >= args.in.map.height ? nullptr : input + plan.row_in(0, iy));
  }
  return rows;
}

/// The rows of output gradients over input row iy, of the first block of channels, in the order of
/// the flipped kernel.
HWY_INLINE InputRows rows_over(const SeparableArgs& args, const SeparablePlan& plan,
                               const float* gradients, int iy) {
  InputRows rows;
  for (int r = 0; r < args.window.height; ++r) {
    const int at = iy + args.window.top - (args.window.height - 1 - r) * args.window.dilation;
    const int y = at / args.window.stride_height;
    const bool exists = at >= 0 && at % args.window.stride_height == 0 && y < args.out.map.height;
    rows.add(exists ? gradients + plan.row_out(0, y) : nullptr);
  }
  return rows;
}

/// Stores depthwise results in a blocked row.
struct TileSink {
  float* to;
  template <int X>
  HWY_INLINE void put(const V (&v)[X], int x, int lane) const {
    float* p = to + x * kBlock + lane;
#pragma GCC unroll 8
    for (int o = 0; o < X; ++o) store(v[o], p + o * kBlock);
  }
};

/// Stores a row of input gradients, masked by ReLU where the view has one. `relu` and `accumulate`
/// are tested every few vectors, which is cheaper than four copies of every kernel.
struct GradientSink {
  MapData to;              // the gradient of the row's first pixel, channels of this block
  std::size_t step;        // numbers from pixel to pixel
  const float* activated;  // the blocked row of the input as the group read it
  int activated_step;      // floats from pixel to pixel
  bool relu;
  bool accumulate;

  HWY_INLINE GradientSink every_second(int first) const {
    return {to.from(first * step), 2 * step, activated + first * activated_step,
            2 * activated_step,    relu,     accumulate};
  }
  template <int X>
  HWY_INLINE void put(const V (&v)[X], int x, int lane) const {
    V g[X];
#pragma GCC unroll 8
    for (int o = 0; o < X; ++o) g[o] = v[o];
    if (relu) {
      const float* s = activated + x * activated_step + lane;
#pragma GCC unroll 8
      for (int o = 0; o < X; ++o) {
        g[o] = hn::IfThenElseZero(hn::Gt(load(s + o * activated_step), zero()), g[o]);
      }
    }
    typed(to, [&](auto* p) HWY_ATTR { put_at(g, p + x * step + lane); });
  }

 private:
  template <int X, class T>
  HWY_INLINE void put_at(V (&g)[X], T* p) const {
    if (accumulate) {
#pragma GCC unroll 8
      for (int o = 0; o < X; ++o) {
        g[o] = hn::Add(g[o], load(p + o * step));
      }
    }
#pragma GCC unroll 8
    for (int o = 0; o < X; ++o) store(g[o], p + o * step);
  }
};

/// Computes the depthwise results of output rows [y0, y1) into a blocked tile.
HWY_INLINE void depthwise_tile(const SeparableArgs& args, const SeparablePlan& plan,
                               const float* input, int y0, int y1, float* tile,
                               Prefetcher& prefetcher) {
  const int width = args.out.map.width;
  const std::size_t pixels = static_cast<std::size_t>(y1 - y0) * width;
  for (int y = y0; y < y1; ++y) {
    InputRows rows = rows_under(args, plan, input, y);
    float* to = tile + static_cast<std::size_t>((y - y0) * width) * kBlock;
    for (int block = 0; block < plan.blocks; ++block) {
      rows.start = block * static_cast<std::ptrdiff_t>(plan.plane_in);
      depthwise_row(rows, args.depthwise + block * plan.weights, args.window.width,
                    args.window.stride_width, args.window.dilation, width,
                    TileSink{to + block * pixels * kBlock});
      prefetcher.issue();
    }
  }
}

/// Copies a blocked tile to dense pixels of `channels`.
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
  float* input = scratch;
  float* tile = input + plan.input_size;
  float* f32_tile = tile + plan.tile_size;
  clear_padding(args, plan, input);
  const Map& map = args.out.map;
  const std::size_t row = map.row();
  const std::size_t row_in = args.in.map.row();
  const std::size_t tile_in = plan.tile_rows * args.window.stride_height * row_in;
  Prefetcher prefetcher;
  for (int n = first; n < last; ++n) {
    int loaded = 0;
    for (int y0 = 0; y0 < map.height; y0 += plan.tile_rows) {
      const int y1 = std::min(map.height, y0 + plan.tile_rows);
      load_rows(args, plan, n, loaded, plan.rows_read(args, y1), input);
      const int pixels = (y1 - y0) * map.width;
      prefetcher.clear();
      prefetcher.add(args.in.data, n * args.in.map.size() + loaded * row_in, tile_in);
      prefetcher.spread(plan.blocks * (y1 - y0) + micro_steps(pixels, map.channels));
      const std::size_t at = n * map.size() + y0 * row;
      depthwise_tile(args, plan, input, y0, y1, tile, prefetcher);
      if (args.pointwise != nullptr) {
        const Matrix<const float> a{tile, kBlock, static_cast<std::size_t>(pixels) * kBlock};
        const std::size_t channels = map.channels;
        const auto multiply_to = [&](const auto& to) HWY_ATTR {
          product(a, args.pointwise, channels, to, pixels, map.channels, args.in.map.channels,
                  &prefetcher);
        };
        if (args.out.data.is_bf16()) {
          multiply_to(StoreBf16{args.out.data.as<Bfloat16>() + at, channels, nullptr});
        } else {
          multiply_to(Store{args.out.data.as<float>() + at, channels, false});
        }
      } else {
        float* out = tile_of(args.out, at, f32_tile);
        from_blocks(tile, pixels, map.channels, out);
        store_tile(args.out, at, pixels, out);
      }
      accumulate_statistics(args.out, at, pixels, sums);
    }
  }
}

/// Takes the output gradients of rows [y0, y1) back through the 1x1 convolution. Adds its weight
/// gradient to `partial`, and writes the depthwise result's gradient into the rows of `gradients`.
/// The depthwise results are computed again for that: keeping them would cost a map in memory.
HWY_INLINE void pointwise_backward(const SeparableArgs& args, const SeparablePlan& plan, int n,
                                   int y0, int y1, float* tile, float* gradient_tile,
                                   float* gradients, const float* input, float* partial,
                                   Prefetcher& prefetcher) {
  const Map& map = args.out.map;
  const std::size_t channels = map.channels;
  const int pixels = (y1 - y0) * map.width;
  const std::size_t at = n * map.size() + (y0 * map.width) * channels;
  const float* g = output_gradients(args.out, at, pixels, gradient_tile);
  if (args.pointwise == nullptr) {
    for (int block = 0; block < plan.blocks; ++block) {
      for (int y = y0; y < y1; ++y) {
        float* to = gradients + plan.gradient_at(block, y);
        for (int x = 0; x < map.width; ++x) {
          for (int lane = 0; lane < kBlock; lane += kLanes) {
            store(load(g + ((y - y0) * map.width + x) * channels + block * kBlock + lane),
                  to + x * kBlock + lane);
          }
        }
      }
    }
    return;
  }
  depthwise_tile(args, plan, input, y0, y1, tile, prefetcher);
  add_transposed_product({tile, kBlock, static_cast<std::size_t>(pixels) * kBlock}, g, channels,
                         partial + args.pointwise_gradient, args.in.map.channels, map.channels,
                         pixels, &prefetcher);
  for (int y = y0; y < y1; ++y) {
    product({g + (y - y0) * map.width * channels, channels, kBlock}, args.pointwise_transposed,
            args.in.map.channels,
            StoreBlocks{{gradients + plan.gradient_at(0, y), kBlock, plan.plane_out}}, map.width,
            args.in.map.channels, map.channels, &prefetcher);
  }
}

/// Computes and stores the gradient of input row iy.
HWY_INLINE void store_gradient_row(const SeparableArgs& args, const SeparablePlan& plan, int n,
                                   int iy, const float* gradients, const float* input,
                                   Prefetcher& prefetcher) {
  const Map& in = args.in.map;
  const std::size_t step = in.channels;
  const MapData to = args.in.gradient.from(n * in.size() + (iy * in.width) * step);
  const WindowArgs& w = args.window;
  InputRows rows = rows_over(args, plan, gradients, iy);
  for (int block = 0; block < plan.blocks; ++block) {
    rows.start = block * static_cast<std::ptrdiff_t>(plan.plane_out);
    const float* weights = args.depthwise_flipped + block * plan.weights;
    const GradientSink sink{to.from(static_cast<std::size_t>(block) * kBlock),
                            step,
                            input + plan.row_in(block, iy) + w.left * kBlock,
                            kBlock,
                            args.in.relu,
                            args.in.accumulate};
    if (w.stride_width == 1) {
      depthwise_row(rows, weights, w.width, 1, w.dilation, in.width, sink);
    } else {
      strided_gradient_row({rows, weights, w.width, w.stride_width, w.dilation, w.left, plan.lead,
                            args.out.map.width},
                           in.width, sink);
    }
    prefetcher.issue();
  }
}

/// Stores the gradients of input rows [done, ready), and adds the batch norm's backward sums of
/// them while they are in cache.
HWY_INLINE void store_gradient_rows(const SeparableArgs& args, const SeparablePlan& plan, int n,
                                    int& done, int ready, const float* gradients,
                                    const float* input, float* partial, Prefetcher& prefetcher) {
  const Map& in = args.in.map;
  const int rows_at_once = std::max(1, kTilePixels / in.width);
  while (done < ready) {
    const int rows = std::min(rows_at_once, ready - done);
    const std::size_t at = n * in.size() + done * in.row();
    for (int r = 0; r < rows; ++r, ++done) {
      store_gradient_row(args, plan, n, done, gradients, input, prefetcher);
    }
    accumulate_norm_sums(args.in, at, rows * in.width, partial);
  }
}

void separable_backward(const SeparableArgs& args, int first, int last, float* scratch,
                        float* partial) {
  const SeparablePlan plan(args);
  float* input = scratch;
  float* gradients = input + plan.input_size;
  float* tile = gradients + plan.gradients_size;
  float* gradient_tile = tile + plan.tile_size;
  clear_padding(args, plan, input);
  const Map& in = args.in.map;
  const Map& out = args.out.map;
  clear_edges(gradients, plan.blocks * plan.rows_out, plan.width_out, plan.lead,
              plan.lead + out.width);
  const std::size_t row_in = in.row();
  const std::size_t tile_in = plan.tile_rows * args.window.stride_height * row_in;
  const std::size_t row_out = out.row();
  const std::size_t tile_out = plan.tile_rows * row_out;
  Prefetcher prefetcher;
  for (int n = first; n < last; ++n) {
    int loaded = 0;
    int done = 0;
    for (int y0 = 0; y0 < out.height; y0 += plan.tile_rows) {
      const int y1 = std::min(out.height, y0 + plan.tile_rows);
      load_rows(args, plan, n, loaded, plan.rows_read(args, y1), input);
      // Input rows below `ready` are read by no later output.
      const int ready = plan.rows_done(args, y1);
      const std::size_t at_in = n * in.size();
      const std::size_t at_out = n * out.size() + y1 * row_out;
      prefetcher.clear();
      prefetcher.add(args.out.gradient, at_out, tile_out);
      if (args.out.dy_scale != nullptr) prefetcher.add(args.out.data, at_out, tile_out);
      prefetcher.add(args.in.data, at_in + loaded * row_in, tile_in);
      if (args.in.gradient) {
        prefetcher.add(args.in.gradient, at_in + std::max(ready, 0) * row_in, tile_in);
      }
      prefetcher.spread(2 * plan.blocks * (y1 - y0) +
                        micro_steps((y1 - y0) * out.width, in.channels) +
                        micro_steps(in.channels, out.channels));
      pointwise_backward(args, plan, n, y0, y1, tile, gradient_tile, gradients, input, partial,
                         prefetcher);
      for (int y = y0; y < y1; ++y) {
        InputRows rows = rows_under(args, plan, input, y);
        for (int block = 0; block < plan.blocks; ++block) {
          rows.start = block * static_cast<std::ptrdiff_t>(plan.plane_in);
          depthwise_weights(gradients + plan.gradient_at(block, y), rows, args.window.width,
                            args.window.stride_width, args.window.dilation, out.width,
                            partial + args.depthwise_gradient + block * plan.weights);
        }
      }
      if (!args.in.gradient) continue;
      load_rows(args, plan, n, loaded, ready, input);
      store_gradient_rows(args, plan, n, done, ready, gradients, input, partial, prefetcher);
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
  if (args.bf16_kernels != nullptr) return args.bf16_kernels->scratch(args);
  const SeparablePlan plan(args);
  return plan.input_size + plan.gradients_size + plan.tile_size + plan.gradient_tile_size;
}

void separable_forward(const SeparableArgs& args, int first, int last, float* scratch,
                       float* sums) {
  if (args.bf16_kernels != nullptr) {
    return args.bf16_kernels->forward(args, first, last, scratch, sums);
  }
  HWY_DYNAMIC_DISPATCH(separable_forward)(args, first, last, scratch, sums);
}

void separable_backward(const SeparableArgs& args, int first, int last, float* scratch,
                        float* partial) {
  if (args.bf16_kernels != nullptr) {
    return args.bf16_kernels->backward(args, first, last, scratch, partial);
  }
  HWY_DYNAMIC_DISPATCH(separable_backward)(args, first, last, scratch, partial);
}

}  // namespace renas::cpu
#endif
