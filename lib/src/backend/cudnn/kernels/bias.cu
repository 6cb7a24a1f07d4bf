#include "backend/cudnn/kernels/args.h"
#include "backend/cudnn/kernels/launcher.h"
#include "backend/cudnn/kernels/slices.h"
#include "backend/cudnn/kernels/vectors.h"

namespace renas::cudnn {

__global__ void add_bias_kernel(const StepState* state, OutputMap out, const float* bias,
                                int channels) {
  const Place p = place_of(out.map, state->count, thread_index());
  if (!p.exists) return;
  Float8 y = load8(out.data, p.i);
#pragma unroll
  for (int k = 0; k < kBlock; ++k) {
    if (p.c + k < channels) y.v[k] += bias[p.c + k];
  }
  store8(out.data, p.i, y);
}

/// Sums the gradient over a slice of the pixels. blockIdx.x is the slice, blockIdx.y the chunk of
/// channel blocks.
__global__ void __launch_bounds__(kSumThreads, 1)
    bias_sums_kernel(const StepState* state, OutputMap out, int slices, double* partials) {
  const SumShape shape = sum_shape(out.map.channels);
  const int first_block = static_cast<int>(blockIdx.y) * shape.blocks;
  const int rest = out.map.channels / kBlock - first_block;
  const int blocks_here = rest < shape.blocks ? rest : shape.blocks;
  const int lane = static_cast<int>(threadIdx.x) / shape.blocks;
  const int block = static_cast<int>(threadIdx.x) % shape.blocks;
  Double8 sum = {};
  if (block < blocks_here && lane < shape.lanes) {
    const int c = (first_block + block) * kBlock;
    const PixelSlice slice = slice_of(out.map, state->count, blockIdx.x, slices);
    for (std::size_t pixel = slice.first + lane; pixel < slice.last; pixel += shape.lanes) {
      const Float8 dy = output_gradient8(out, pixel * out.map.channels + c, c);
#pragma unroll
      for (int k = 0; k < kBlock; ++k) sum.v[k] += dy.v[k];
    }
  }
  const std::size_t first = static_cast<std::size_t>(blockIdx.x) * out.map.channels;
  add_lanes(sum, shape, blocks_here, partials + first + first_block * kBlock);
}

/// A thread for each channel.
__global__ void bias_gradient_kernel(const double* partials, int slices, int channels, int stride,
                                     float* gradient) {
  const int c = static_cast<int>(thread_index());
  if (c >= channels) return;
  double sum = 0;
  for (int slice = 0; slice < slices; ++slice) {
    sum += partials[static_cast<std::size_t>(slice) * stride + c];
  }
  gradient[c] += static_cast<float>(sum);
}

void add_bias(const Launch& to, const OutputMap& out, const float* bias, int channels) {
  launch_places(to, out.map, add_bias_kernel, to.state, out, bias, channels);
}

void bias_gradient(const Launch& to, const OutputMap& out, int channels, int slices,
                   double* partials, float* gradient) {
  launch_grid(to, sum_grid(out.map, slices), bias_sums_kernel, to.state, out, slices, partials);
  launch_threads(to, static_cast<std::size_t>(channels), bias_gradient_kernel, partials, slices,
                 channels, out.map.channels, gradient);
}

void preload_bias() { preload_all(add_bias_kernel, bias_sums_kernel, bias_gradient_kernel); }

}  // namespace renas::cudnn
