#include "backend/cudnn/kernels/args.h"
#include "backend/cudnn/kernels/launcher.h"
#include "backend/cudnn/kernels/vectors.h"
#include "renas/backend.h"

namespace renas::cudnn {

constexpr int kWarp = 32;

/// The sum (or with `largest` the maximum) of a number of each of the warp's threads.
__device__ inline double over_warp(double value, bool largest) {
#pragma unroll
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    const double other = __shfl_xor_sync(0xffffffffU, value, distance);
    value = largest ? (other > value ? other : value) : value + other;
  }
  return value;
}

/// The logarithm of the sum of exponentials of an image's scores, by one warp.
__device__ inline double log_sum_exp(const float* scores, int classes) {
  double top = scores[0];
  for (int k = threadIdx.x; k < classes; k += kWarp) top = scores[k] > top ? scores[k] : top;
  top = over_warp(top, true);
  double total = 0;
  for (int k = threadIdx.x; k < classes; k += kWarp) total += exp(scores[k] - top);
  return log(over_warp(total, false)) + top;
}

/// The probability that class k should have.
__device__ inline double target(const LossArgs& a, int k, int label) {
  const double smoothing = a.label_smoothing;
  return smoothing / a.classes + (k == label ? 1 - smoothing : 0);
}

/// The factor of the loss of an image with this label; it does not count where that is kIgnored.
__device__ inline double class_weight(const LossArgs& a, int label) {
  return a.class_weights == nullptr || label == kIgnored ? 1.0 : a.class_weights[label];
}

/// A warp for each image: its loss, and whether its largest score, the first among equals, is
/// right.
__global__ void loss_forward_kernel(const StepState* state, LossArgs a) {
  const int n = static_cast<int>(blockIdx.x);
  if (n >= state->count) return;
  const float* scores =
      a.in.data.as<const float>() + static_cast<std::size_t>(n) * a.in.map.channels;
  const int label = a.labels[n];
  const double total = log_sum_exp(scores, a.classes);
  double loss = 0;
  // A score as large as the label's at a lower class, or any larger one, or one that is no number.
  double beaten = 0;
  for (int k = threadIdx.x; k < a.classes; k += kWarp) {
    loss -= target(a, k, label) * (scores[k] - total);
    if (label == kIgnored) continue;
    const float own = scores[label];
    if (scores[k] > own || (scores[k] == own && k < label) || !isfinite(own)) beaten = 1;
  }
  loss = over_warp(loss, false);
  beaten = over_warp(beaten, true);
  if (threadIdx.x != 0) return;
  a.losses[n] = label == kIgnored ? 0 : class_weight(a, label) * loss;
  a.correct[n] = label != kIgnored && beaten == 0 ? 1 : 0;
}

/// One thread adds up the images in order.
__global__ void add_metrics_kernel(const StepState* state, LossArgs a, MetricSums* sums) {
  if (threadIdx.x != 0) return;
  for (int n = 0; n < state->count; ++n) {
    sums->loss += a.losses[n];
    sums->correct += a.correct[n];
    sums->count += a.labels[n] == kIgnored ? 0 : 1;
  }
}

/// A warp for each image.
__global__ void loss_backward_kernel(const StepState* state, LossArgs a) {
  const int n = static_cast<int>(blockIdx.x);
  if (n >= state->count) return;
  const std::size_t at = static_cast<std::size_t>(n) * a.in.map.channels;
  const float* scores = a.in.data.as<const float>() + at;
  float* gradient = a.in.gradient.as<float>() + at;
  const int label = a.labels[n];
  const double total = log_sum_exp(scores, a.classes);
  const double weight = class_weight(a, label);
  for (int k = threadIdx.x; k < a.in.map.channels; k += kWarp) {
    double g = 0;
    if (label != kIgnored && k < a.classes) {
      g = weight * (exp(scores[k] - total) - target(a, k, label));
    }
    const auto value = static_cast<float>(g * a.loss_weight / state->counted);
    gradient[k] = a.in.accumulate ? gradient[k] + value : value;
  }
}

void loss_forward(const Launch& to, const LossArgs& args, MetricSums* sums) {
  const auto images = static_cast<unsigned>(to.batch);
  launch_grid(to, {dim3(images), dim3(kWarp), 0}, loss_forward_kernel, to.state, args);
  launch_grid(to, {dim3(1), dim3(kWarp), 0}, add_metrics_kernel, to.state, args, sums);
}

void loss_backward(const Launch& to, const LossArgs& args) {
  const auto images = static_cast<unsigned>(to.batch);
  launch_grid(to, {dim3(images), dim3(kWarp), 0}, loss_backward_kernel, to.state, args);
}

void preload_loss() { preload_all(loss_forward_kernel, add_metrics_kernel, loss_backward_kernel); }

}  // namespace renas::cudnn
