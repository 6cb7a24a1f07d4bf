#include "backend/cudnn/kernels/args.h"
#include "backend/cudnn/kernels/launcher.h"
#include "backend/cudnn/kernels/vectors.h"

namespace renas::cudnn {

/// Eight channels of a pixel whose first number is `pixel`, by the table of channels; zeros where
/// that has none.
__device__ inline Float8 chosen8(const MapData& map, std::size_t pixel, const int32_t* channels) {
  Float8 r = zeros8();
#pragma unroll
  for (int k = 0; k < kBlock; ++k) {
    if (channels[k] >= 0) r.v[k] = load(map, pixel + channels[k]);
  }
  return r;
}

__global__ void select_channels_forward_kernel(const StepState* state, SelectChannelsArgs a) {
  const Place p = place_of(a.out.map, state->count, thread_index());
  if (!p.exists) return;
  const std::size_t pixel = pixel_at(a.in.map, p.n, p.y, p.x);
  store8(a.out.data, p.i, chosen8(a.in.data, pixel, a.from + p.c));
}

/// The gradient of a channel that was not selected is zero.
__global__ void select_channels_backward_kernel(const StepState* state, SelectChannelsArgs a) {
  const Place p = place_of(a.in.map, state->count, thread_index());
  if (!p.exists) return;
  const std::size_t pixel = pixel_at(a.out.map, p.n, p.y, p.x);
  store_gradient8(a.in, p.i, p.c, chosen8(a.out.gradient, pixel, a.to + p.c));
}

void select_channels_forward(const Launch& launch, const SelectChannelsArgs& args) {
  launch_places(launch, args.out.map, select_channels_forward_kernel, launch.state, args);
}
void select_channels_backward(const Launch& launch, const SelectChannelsArgs& args) {
  launch_places(launch, args.in.map, select_channels_backward_kernel, launch.state, args);
}

void preload_select_channels() {
  preload_all(select_channels_forward_kernel, select_channels_backward_kernel);
}

}  // namespace renas::cudnn
