#include "backend/cudnn/kernels/args.h"
#include "backend/cudnn/kernels/launcher.h"
#include "backend/cudnn/kernels/slices.h"
#include "backend/cudnn/kernels/vectors.h"

namespace renas::cudnn {

/// Neighbouring outputs of a row that a thread of the fast forward kernel computes: an input pixel
/// is loaded once for all of them.
constexpr int kRun = 4;

__device__ inline void multiply_add(const Float8& x, const Float8& w, Float8& sum) {
#pragma unroll
  for (int k = 0; k < kBlock; ++k) sum.v[k] += x.v[k] * w.v[k];
}

/// Any window: a thread computes one output pixel.
__global__ void depthwise_forward_kernel(const StepState* state, DepthwiseArgs a) {
  const Place p = place_of(a.out.map, state->count, thread_index());
  if (!p.exists) return;
  const WindowArgs& w = a.window;
  Float8 y = zeros8();
  for (int r = 0; r < w.height; ++r) {
    const int iy = p.y * w.stride_height - w.top + r * w.dilation;
    if (iy < 0 || iy >= a.in.map.height) continue;
    for (int s = 0; s < w.width; ++s) {
      const int ix = p.x * w.stride_width - w.left + s * w.dilation;
      if (ix < 0 || ix >= a.in.map.width) continue;
      multiply_add(input8(a.in, pixel_at(a.in.map, p.n, iy, ix, p.c), p.c),
                   load8(a.weight, (r * w.width + s) * a.out.map.channels + p.c), y);
    }
  }
  store8(a.out.data, p.i, y);
}

/// Windows of SIZE x SIZE without dilation: a thread computes kRun neighbouring pixels.
template <int SIZE, int STRIDE>
__global__ void __launch_bounds__(256, 1)
    depthwise_run_kernel(const StepState* state, DepthwiseArgs a) {
  const Map runs = {a.out.map.height, (a.out.map.width + kRun - 1) / kRun, a.out.map.channels};
  const Place p = place_of(runs, state->count, thread_index());
  if (!p.exists) return;
  constexpr int kPixels = (kRun - 1) * STRIDE + SIZE;
  const int x0 = p.x * kRun;
  Float8 y[kRun];
#pragma unroll
  for (int j = 0; j < kRun; ++j) y[j] = zeros8();
  for (int r = 0; r < SIZE; ++r) {
    const int iy = p.y * STRIDE - a.window.top + r;
    if (iy < 0 || iy >= a.in.map.height) continue;
    Float8 weight[SIZE];
#pragma unroll
    for (int s = 0; s < SIZE; ++s) {
      weight[s] = load8(a.weight, (r * SIZE + s) * a.out.map.channels + p.c);
    }
#pragma unroll
    for (int i = 0; i < kPixels; ++i) {
      const int ix = x0 * STRIDE - a.window.left + i;
      if (ix < 0 || ix >= a.in.map.width) continue;
      const Float8 x = input8(a.in, pixel_at(a.in.map, p.n, iy, ix, p.c), p.c);
#pragma unroll
      for (int j = 0; j < kRun; ++j) {
        const int s = i - j * STRIDE;
        if (s >= 0 && s < SIZE) multiply_add(x, weight[s], y[j]);
      }
    }
  }
  for (int j = 0; j < kRun; ++j) {
    if (x0 + j < a.out.map.width) {
      store8(a.out.data, pixel_at(a.out.map, p.n, p.y, x0 + j, p.c), y[j]);
    }
  }
}

/// A thread gathers the gradient of one input pixel from all outputs whose windows cover it.
__global__ void depthwise_data_gradient_kernel(const StepState* state, DepthwiseArgs a) {
  const Place p = place_of(a.in.map, state->count, thread_index());
  if (!p.exists) return;
  const WindowArgs& w = a.window;
  Float8 g = zeros8();
  for (int r = 0; r < w.height; ++r) {
    const int row = p.y + w.top - r * w.dilation;
    if (row < 0 || row % w.stride_height != 0 || row / w.stride_height >= a.out.map.height) {
      continue;
    }
    for (int s = 0; s < w.width; ++s) {
      const int column = p.x + w.left - s * w.dilation;
      if (column < 0 || column % w.stride_width != 0 ||
          column / w.stride_width >= a.out.map.width) {
        continue;
      }
      const std::size_t at =
          pixel_at(a.out.map, p.n, row / w.stride_height, column / w.stride_width, p.c);
      multiply_add(output_gradient8(a.out, at, p.c),
                   load8(a.weight, (r * w.width + s) * a.out.map.channels + p.c), g);
    }
  }
  store_gradient8(a.in, p.i, p.c, g);
}

/// A block sums one row of WIDTH weights over a slice of the output's pixels. blockIdx.x is the
/// slice, blockIdx.y the run of WIDTH weights, blockIdx.z the chunk of channel blocks.
template <int WIDTH>
__global__ void __launch_bounds__(kSumThreads, 1)
    depthwise_weight_gradient_kernel(const StepState* state, DepthwiseArgs a, int slices,
                                     float* partials) {
  const Map& out = a.out.map;
  const WindowArgs& w = a.window;
  const SumShape shape = sum_shape(out.channels);
  const int first_block = static_cast<int>(blockIdx.z) * shape.blocks;
  const int rest = out.channels / kBlock - first_block;
  const int blocks_here = rest < shape.blocks ? rest : shape.blocks;
  const int lane = static_cast<int>(threadIdx.x) / shape.blocks;
  const int block = static_cast<int>(threadIdx.x) % shape.blocks;
  const int first_weight = static_cast<int>(blockIdx.y) * WIDTH;
  const int r = first_weight / w.width;
  const int s0 = first_weight % w.width;
  Float8 sums[WIDTH];
#pragma unroll
  for (int s = 0; s < WIDTH; ++s) sums[s] = zeros8();
  if (block < blocks_here && lane < shape.lanes) {
    const int c = (first_block + block) * kBlock;
    const PixelSlice slice = slice_of(out, state->count, blockIdx.x, slices);
    for (std::size_t pixel = slice.first + lane; pixel < slice.last; pixel += shape.lanes) {
      const int x = static_cast<int>(pixel % out.width);
      const std::size_t row = pixel / out.width;
      const int y = static_cast<int>(row % out.height);
      const int n = static_cast<int>(row / out.height);
      const int iy = y * w.stride_height - w.top + r * w.dilation;
      if (iy < 0 || iy >= a.in.map.height) continue;
      const Float8 dy = output_gradient8(a.out, pixel * out.channels + c, c);
#pragma unroll
      for (int s = 0; s < WIDTH; ++s) {
        const int ix = x * w.stride_width - w.left + (s0 + s) * w.dilation;
        if (ix < 0 || ix >= a.in.map.width) continue;
        multiply_add(input8(a.in, pixel_at(a.in.map, n, iy, ix, c), c), dy, sums[s]);
      }
    }
  }
  const std::size_t size = static_cast<std::size_t>(w.height) * w.width * out.channels;
  float* to = partials + blockIdx.x * size + first_block * kBlock;
#pragma unroll
  for (int s = 0; s < WIDTH; ++s) {
    add_lanes(sums[s], shape, blocks_here, to + (first_weight + s) * out.channels);
  }
}

namespace {

/// Calls with(kernel) with the fast forward kernel of the window, if there is one.
template <class With>
bool with_run_kernel(const WindowArgs& w, const With& with) {
  if (w.height != w.width || w.dilation != 1 || w.stride_height != w.stride_width) return false;
  const int key = w.height * 10 + w.stride_width;
  if (key == 31) return with(depthwise_run_kernel<3, 1>), true;
  if (key == 32) return with(depthwise_run_kernel<3, 2>), true;
  if (key == 51) return with(depthwise_run_kernel<5, 1>), true;
  if (key == 52) return with(depthwise_run_kernel<5, 2>), true;
  if (key == 71) return with(depthwise_run_kernel<7, 1>), true;
  if (key == 72) return with(depthwise_run_kernel<7, 2>), true;
  return false;
}

}  // namespace

void depthwise_forward(const Launch& to, const DepthwiseArgs& args) {
  const Map& out = args.out.map;
  const Map runs = {out.height, (out.width + kRun - 1) / kRun, out.channels};
  if (with_run_kernel(args.window,
                      [&](auto kernel) { launch_places(to, runs, kernel, to.state, args); })) {
    return;
  }
  launch_places(to, out, depthwise_forward_kernel, to.state, args);
}

void depthwise_data_gradient(const Launch& to, const DepthwiseArgs& args) {
  launch_places(to, args.in.map, depthwise_data_gradient_kernel, to.state, args);
}

void depthwise_weight_gradient(const Launch& to, const DepthwiseArgs& args, int slices,
                               float* partials) {
  const SumShape shape = sum_shape(args.out.map.channels);
  const int blocks = args.out.map.channels / kBlock;
  const auto chunks = static_cast<unsigned>((blocks + shape.blocks - 1) / shape.blocks);
  const auto with = [&](auto kernel, int width) {
    const auto runs = static_cast<unsigned>(args.window.height * args.window.width / width);
    launch_grid(to,
                {dim3(static_cast<unsigned>(slices), runs, chunks), dim3(kSumThreads), kSumBytes},
                kernel, to.state, args, slices, partials);
  };
  switch (args.window.width) {
    case 3:
      return with(depthwise_weight_gradient_kernel<3>, 3);
    case 5:
      return with(depthwise_weight_gradient_kernel<5>, 5);
    case 7:
      return with(depthwise_weight_gradient_kernel<7>, 7);
    default:
      return with(depthwise_weight_gradient_kernel<1>, 1);
  }
}

void preload_depthwise() {
  preload_all(depthwise_forward_kernel, depthwise_data_gradient_kernel);
  for (const int size : {3, 5, 7}) {
    for (const int stride : {1, 2}) {
      with_run_kernel({size, size, stride, stride}, [](auto kernel) { preload_all(kernel); });
    }
  }
  preload_all(depthwise_weight_gradient_kernel<1>, depthwise_weight_gradient_kernel<3>,
              depthwise_weight_gradient_kernel<5>, depthwise_weight_gradient_kernel<7>);
}

}  // namespace renas::cudnn
