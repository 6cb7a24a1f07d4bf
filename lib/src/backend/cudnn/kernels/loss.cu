#include <algorithm>

#include "backend/cudnn/kernels/args.h"
#include "backend/cudnn/kernels/launcher.h"
#include "backend/cudnn/kernels/slices.h"
#include "backend/cudnn/kernels/vectors.h"
#include "renas/backend.h"

// Softmax and cross-entropy, a warp for each label. Blocks have kLossWarps warps.
namespace renas::cudnn {

constexpr int kWarp = 32;
constexpr int kLossWarps = 8;

__device__ inline int lane() { return static_cast<int>(threadIdx.x) % kWarp; }
__device__ inline int warp() { return static_cast<int>(threadIdx.x) / kWarp; }

/// The sum (or with `largest` the maximum) of a number of each of the warp's threads.
__device__ inline double over_warp(double value, bool largest) {
#pragma unroll
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    const double other = __shfl_xor_sync(0xffffffffU, value, distance);
    value = largest ? (other > value ? other : value) : value + other;
  }
  return value;
}

/// The logarithm of the sum of exponentials of a label's scores, by one warp.
__device__ inline double log_sum_exp(const float* scores, int classes) {
  double top = scores[0];
  for (int k = lane(); k < classes; k += kWarp) top = scores[k] > top ? scores[k] : top;
  top = over_warp(top, true);
  double total = 0;
  for (int k = lane(); k < classes; k += kWarp) total += exp(scores[k] - top);
  return log(over_warp(total, false)) + top;
}

/// The probability that class k should have.
__device__ inline double target(const LossArgs& a, int k, int label) {
  const double smoothing = a.label_smoothing;
  return smoothing / a.classes + (k == label ? 1 - smoothing : 0);
}

/// The factor of the loss of this label.
__device__ inline double class_weight(const LossArgs& a, int label) {
  return a.class_weights == nullptr ? 1.0 : a.class_weights[label];
}

/// Adds number i of the labels, by one warp: its loss, and whether its largest score, the first
/// among equals, is right.
__device__ inline void add_label(const LossArgs& a, std::size_t i, MetricSums& sums) {
  const int label = a.labels[i];
  if (label == kIgnored) return;
  const float* scores = a.in.data.as<const float>() + i * a.in.map.channels;
  const double total = log_sum_exp(scores, a.classes);
  const float own = scores[label];
  double loss = 0;
  // A score as large as the label's at a lower class, or any larger one, or one that is no number.
  double beaten = isfinite(own) ? 0 : 1;
  for (int k = lane(); k < a.classes; k += kWarp) {
    loss -= target(a, k, label) * (scores[k] - total);
    if (scores[k] > own || (scores[k] == own && k < label)) beaten = 1;
  }
  sums.loss += class_weight(a, label) * over_warp(loss, false);
  sums.correct += over_warp(beaten, true) == 0 ? 1 : 0;
  sums.count += 1;
}

/// A block sums a slice of the labels.
__global__ void __launch_bounds__(kWarp* kLossWarps, 1)
    loss_forward_kernel(const StepState* state, LossArgs a, int slices) {
  const PixelSlice slice = slice_of(a.in.map, state->count, blockIdx.x, slices);
  MetricSums sums = {};
  for (std::size_t i = slice.first + warp(); i < slice.last; i += kLossWarps) {
    add_label(a, i, sums);
  }
  auto* of_warps = shared_memory<MetricSums>();
  if (lane() == 0) of_warps[warp()] = sums;
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (int w = 1; w < kLossWarps; ++w) {
    sums.loss += of_warps[w].loss;
    sums.correct += of_warps[w].correct;
    sums.count += of_warps[w].count;
  }
  a.partials[blockIdx.x] = sums;
}

/// One thread adds up the blocks in order.
__global__ void add_metrics_kernel(LossArgs a, int slices, MetricSums* sums) {
  if (threadIdx.x != 0) return;
  MetricSums all = *sums;
  for (int slice = 0; slice < slices; ++slice) {
    all.loss += a.partials[slice].loss;
    all.correct += a.partials[slice].correct;
    all.count += a.partials[slice].count;
  }
  *sums = all;
}

/// A warp for each label.
__global__ void loss_backward_kernel(const StepState* state, LossArgs a) {
  const std::size_t i = static_cast<std::size_t>(blockIdx.x) * kLossWarps + warp();
  if (i >= static_cast<std::size_t>(state->count) * a.in.map.height * a.in.map.width) return;
  const float* scores = a.in.data.as<const float>() + i * a.in.map.channels;
  float* gradient = a.in.gradient.as<float>() + i * a.in.map.channels;
  const int label = a.labels[i];
  const bool counts = label != kIgnored;
  const double total = log_sum_exp(scores, a.classes);
  const double factor = counts ? class_weight(a, label) * a.loss_weight / state->counted : 0;
  for (int k = lane(); k < a.in.map.channels; k += kWarp) {
    double g = 0;
    if (counts && k < a.classes) g = factor * (exp(scores[k] - total) - target(a, k, label));
    const auto value = static_cast<float>(g);
    gradient[k] = a.in.accumulate ? gradient[k] + value : value;
  }
}

namespace {

/// Blocks with a warp for each label of the batch.
std::size_t blocks_for_labels(const Launch& to, const LossArgs& args) {
  const std::size_t labels = static_cast<std::size_t>(to.batch) * args.in.map.pixels();
  return (labels + kLossWarps - 1) / kLossWarps;
}

}  // namespace

void loss_forward(const Launch& to, const LossArgs& args, MetricSums* sums) {
  const auto slices = static_cast<int>(
      std::min(blocks_for_labels(to, args), static_cast<std::size_t>(kLossBlocks)));
  launch_grid(to,
              {dim3(static_cast<unsigned>(slices)), dim3(kWarp * kLossWarps),
               kLossWarps * sizeof(MetricSums)},
              loss_forward_kernel, to.state, args, slices);
  launch_grid(to, {dim3(1), dim3(kWarp), 0}, add_metrics_kernel, args, slices, sums);
}

void loss_backward(const Launch& to, const LossArgs& args) {
  launch_grid(
      to, {dim3(static_cast<unsigned>(blocks_for_labels(to, args))), dim3(kWarp * kLossWarps), 0},
      loss_backward_kernel, to.state, args);
}

void preload_loss() { preload_all(loss_forward_kernel, add_metrics_kernel, loss_backward_kernel); }

}  // namespace renas::cudnn
