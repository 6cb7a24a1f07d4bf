#include "backend/contract.h"
#include "backend/cudnn/kernels/args.h"
#include "backend/cudnn/kernels/launcher.h"
#include "backend/cudnn/kernels/slices.h"
#include "backend/cudnn/kernels/vectors.h"

namespace renas::cudnn {

using contract::kBatchNormEpsilon;
using contract::kBatchNormMomentum;

/// The shift that goes with a scale as it is stored, rounded: where all values of a channel are
/// equal, the scale is so large that its rounding alone would show.
__device__ inline float shift_of(double beta, double mean, float scale) {
  return static_cast<float>(beta - mean * scale);
}

/// A block for each norm.
__global__ void prepare_norms_kernel(const NormArgs* norms, bool training) {
  const NormArgs& norm = norms[blockIdx.x];
  for (int c = threadIdx.x; c < norm.channels; c += blockDim.x) {
    const float mean = norm.running_mean[c];
    norm.centre[c] = mean;
    if (training) continue;
    const double inverse =
        1 / sqrt(static_cast<double>(norm.running_variance[c]) + kBatchNormEpsilon);
    const auto scale = static_cast<float>(norm.gamma[c] * inverse);
    norm.scale[c] = scale;
    norm.shift[c] = shift_of(norm.beta[c], mean, scale);
  }
}

/// Sums, in double, two numbers of each pixel and channel over a slice: `terms` returns them for
/// numbers i to i + 7, channels c to c + 7. Partials are [slice][2][padded channels]. blockIdx.x is
/// the slice, blockIdx.y the chunk of channel blocks.
template <class Terms>
__device__ inline void sum_two(const Map& map, int images, int slices, double* partials,
                               const Terms& terms) {
  const SumShape shape = sum_shape(map.channels);
  const int first_block = static_cast<int>(blockIdx.y) * shape.blocks;
  const int rest = map.channels / kBlock - first_block;
  const int blocks_here = rest < shape.blocks ? rest : shape.blocks;
  const int lane = static_cast<int>(threadIdx.x) / shape.blocks;
  const int block = static_cast<int>(threadIdx.x) % shape.blocks;
  Double8 a = {};
  Double8 b = {};
  if (block < blocks_here && lane < shape.lanes) {
    const int c = (first_block + block) * kBlock;
    const PixelSlice slice = slice_of(map, images, blockIdx.x, slices);
    for (std::size_t pixel = slice.first + lane; pixel < slice.last; pixel += shape.lanes) {
      terms(pixel * map.channels + c, c, a, b);
    }
  }
  double* to =
      partials + static_cast<std::size_t>(blockIdx.x) * 2 * map.channels + first_block * kBlock;
  add_lanes(a, shape, blocks_here, to);
  add_lanes(b, shape, blocks_here, to + map.channels);
}

__global__ void __launch_bounds__(kSumThreads, 1)
    norm_statistics_kernel(const StepState* state, NormArgs norm, MapData x, int slices,
                           double* partials) {
  sum_two(norm.map, state->count, slices, partials,
          [&](std::size_t i, int c, Double8& sum, Double8& square) {
            add_statistics(load8(x, i), load8(norm.centre, c), sum, square);
          });
}

__global__ void __launch_bounds__(kSumThreads, 1)
    norm_gradient_sums_kernel(const StepState* state, NormArgs norm, MapData x, MapData dy,
                              int slices, double* partials) {
  sum_two(norm.map, state->count, slices, partials,
          [&](std::size_t i, int c, Double8& sum, Double8& product) {
            const Float8 v = load8(x, i);
            const Float8 g = load8(dy, i);
            const Float8 mean = load8(norm.mean, c);
#pragma unroll
            for (int k = 0; k < kBlock; ++k) {
              sum.v[k] += g.v[k];
              product.v[k] += g.v[k] * (static_cast<double>(v.v[k]) - mean.v[k]);
            }
          });
}

/// A block that adds up slices has eight channels and 32 lanes; each lane adds every 32nd slice.
constexpr int kSliceLanes = 32;
constexpr int kSliceThreads = kSliceLanes * kBlock;

/// The channel of a thread of such a block.
__device__ inline int channel_of_thread() {
  return static_cast<int>(blockIdx.x) * kBlock + static_cast<int>(threadIdx.x) % kBlock;
}

/// The two sums of a channel.
struct TwoSums {
  double first, second;
};

/// Adds up partial sums over slices in a fixed order. All threads of the block call it; the threads
/// of the first lane, a channel each, get the sums.
__device__ inline TwoSums add_slices(const NormArgs& norm, int slices, const double* partials) {
  TwoSums* shared = shared_memory<TwoSums>();  // [lane][8]
  const int lane = static_cast<int>(threadIdx.x) / kBlock;
  TwoSums sums = {0, 0};
  for (int slice = lane; slice < slices; slice += kSliceLanes) {
    const double* from = partials + static_cast<std::size_t>(slice) * 2 * norm.map.channels;
    sums.first += from[channel_of_thread()];
    sums.second += from[norm.map.channels + channel_of_thread()];
  }
  shared[threadIdx.x] = sums;
  __syncthreads();
  if (lane > 0) return sums;
  for (int other = 1; other < kSliceLanes && other < slices; ++other) {
    sums.first += shared[other * kBlock + threadIdx.x].first;
    sums.second += shared[other * kBlock + threadIdx.x].second;
  }
  return sums;
}

/// The grid of kernels that add up the slices of a norm's sums.
Grid slices_grid(const NormArgs& norm) {
  return {dim3(static_cast<unsigned>(norm.map.channels / kBlock)), dim3(kSliceThreads),
          kSliceThreads * sizeof(TwoSums)};
}

__device__ inline double values_of(const NormArgs& norm, int images) {
  return static_cast<double>(norm.map.height) * norm.map.width * images;
}

__global__ void __launch_bounds__(kSliceThreads, 1)
    finish_statistics_kernel(const StepState* state, NormArgs norm, int slices,
                             const double* partials) {
  const TwoSums sums = add_slices(norm, slices, partials);
  const int c = channel_of_thread();
  if (threadIdx.x >= kBlock || c >= norm.channels) return;
  double mean = norm.running_mean[c];
  double variance = norm.running_variance[c];
  if (!norm.frozen) {
    const double count = values_of(norm, state->count);
    const double from_centre = sums.first / count;
    mean = norm.centre[c] + from_centre;
    variance = sums.second / count - from_centre * from_centre;
    if (variance < 0) variance = 0;
    // A zero or an infinite variance would hide that the training diverged.
    if (!isfinite(sums.second)) variance = nan("");
    const double unbiased = variance * count / (count > 2 ? count - 1 : 1);
    norm.running_mean[c] = static_cast<float>(kBatchNormMomentum * norm.running_mean[c] +
                                              (1 - kBatchNormMomentum) * mean);
    norm.running_variance[c] = static_cast<float>(kBatchNormMomentum * norm.running_variance[c] +
                                                  (1 - kBatchNormMomentum) * unbiased);
  }
  const double inverse = 1 / sqrt(variance + kBatchNormEpsilon);
  const auto scale = static_cast<float>(norm.gamma[c] * inverse);
  norm.inverse[c] = inverse;
  norm.mean[c] = static_cast<float>(mean);
  norm.scale[c] = scale;
  norm.shift[c] = shift_of(norm.beta[c], mean, scale);
}

__global__ void __launch_bounds__(kSliceThreads, 1)
    finish_norm_gradient_kernel(const StepState* state, NormArgs norm, int slices,
                                const double* partials) {
  const TwoSums sums = add_slices(norm, slices, partials);
  const int c = channel_of_thread();
  if (threadIdx.x >= kBlock || c >= norm.channels) return;
  const double count = values_of(norm, state->count);
  const double inverse = norm.inverse[c];
  norm.gamma_gradient[c] += static_cast<float>(sums.second * inverse);
  norm.beta_gradient[c] += static_cast<float>(sums.first);
  // A single value is normalised to a constant, so its gradient is zero. What rounding leaves of
  // it would be multiplied by 1 / sqrt(epsilon).
  const bool constant = count <= 1 && !norm.frozen;
  const double factor = constant ? 0 : norm.gamma[c] * inverse;
  // Frozen statistics do not move with x.
  const double x_scale = norm.frozen ? 0 : -factor * inverse * inverse * sums.second / count;
  norm.dy_scale[c] = static_cast<float>(factor);
  norm.x_scale[c] = static_cast<float>(x_scale);
  const double offset = norm.frozen ? 0 : -factor * sums.first / count - x_scale * norm.mean[c];
  norm.offset[c] = static_cast<float>(offset);
}

__global__ void norm_input_gradient_kernel(const StepState* state, OutputMap out, MapData gradient,
                                           bool accumulate) {
  const Place p = place_of(out.map, state->count, thread_index());
  if (!p.exists) return;
  Float8 g = output_gradient8(out, p.i, p.c);
  if (accumulate) {
    const Float8 before = load8(gradient, p.i);
#pragma unroll
    for (int k = 0; k < kBlock; ++k) g.v[k] += before.v[k];
  }
  store8(gradient, p.i, g);
}

void prepare_norms(const Launch& to, const NormArgs* norms, int count, bool training) {
  if (count == 0) return;
  launch_grid(to, {dim3(static_cast<unsigned>(count)), dim3(128), 0}, prepare_norms_kernel, norms,
              training);
}
void norm_statistics(const Launch& to, const NormArgs& norm, const MapData& x, int slices,
                     double* partials) {
  launch_grid(to, sum_grid(norm.map, slices), norm_statistics_kernel, to.state, norm, x, slices,
              partials);
}
void finish_statistics(const Launch& to, const NormArgs& norm, int slices, const double* partials) {
  launch_grid(to, slices_grid(norm), finish_statistics_kernel, to.state, norm, slices, partials);
}
void norm_gradient_sums(const Launch& to, const NormArgs& norm, const MapData& x, const MapData& dy,
                        int slices, double* partials) {
  launch_grid(to, sum_grid(norm.map, slices), norm_gradient_sums_kernel, to.state, norm, x, dy,
              slices, partials);
}
void finish_norm_gradient(const Launch& to, const NormArgs& norm, int slices,
                          const double* partials) {
  launch_grid(to, slices_grid(norm), finish_norm_gradient_kernel, to.state, norm, slices, partials);
}
void norm_input_gradient(const Launch& to, const OutputMap& out, const MapData& gradient,
                         bool accumulate) {
  launch_places(to, out.map, norm_input_gradient_kernel, to.state, out, gradient, accumulate);
}

void preload_norm() {
  preload_all(prepare_norms_kernel, norm_statistics_kernel, norm_gradient_sums_kernel,
              finish_statistics_kernel, finish_norm_gradient_kernel, norm_input_gradient_kernel);
}

}  // namespace renas::cudnn
