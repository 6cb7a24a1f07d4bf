#include "backend/cudnn/kernels/args.h"
#include "backend/cudnn/kernels/launcher.h"
#include "backend/cudnn/kernels/vectors.h"
#include "backend/mask.h"

namespace renas::cudnn {

__global__ void copy_images_kernel(const StepState* state, const float* images, int channels,
                                   OutputMap out) {
  const Place p = place_of(out.map, state->count, thread_index());
  if (!p.exists) return;
  const std::size_t from = p.i / out.map.channels * channels + p.c;
  Float8 pixel;
#pragma unroll
  for (int k = 0; k < kBlock; ++k) pixel.v[k] = p.c + k < channels ? images[from + k] : 0;
  store8(out.data, p.i, pixel);
}

__global__ void add_forward_kernel(const StepState* state, AddArgs args) {
  const Place p = place_of(args.out.map, state->count, thread_index());
  if (!p.exists) return;
  Float8 sum = input8(args.in[0], p.i, p.c);
  for (int j = 1; j < args.count; ++j) {
    const Float8 x = input8(args.in[j], p.i, p.c);
#pragma unroll
    for (int k = 0; k < kBlock; ++k) sum.v[k] += x.v[k];
  }
  store8(args.out.data, p.i, sum);
}

__global__ void add_backward_kernel(const StepState* state, InputView in, OutputMap out) {
  const Place p = place_of(out.map, state->count, thread_index());
  if (!p.exists) return;
  store_gradient8(in, p.i, p.c, load8(out.gradient, p.i));
}

/// The number of channel c of the concatenation at an output pixel; 0 in the padding and where a
/// pixel shift reads beyond the edge.
__device__ inline float concat_number(const ConcatArgs& args, const Place& p, int c) {
  for (int j = 0; j < args.part_count; ++j) {
    const PartArgs& part = args.parts[j];
    const int own = c - part.first;
    if (own < 0 || own >= part.channels) continue;
    const int y = p.y + (part.shifted ? 1 : 0);
    const int x = p.x + (part.shifted ? 1 : 0);
    if (y >= part.in.map.height || x >= part.in.map.width) return 0;
    float v = load(part.in.data, pixel_at(part.in.map, p.n, y, x, own));
    if (part.in.scale != nullptr) v = fmaf(v, part.in.scale[own], part.in.shift[own]);
    return part.in.relu && v < 0 ? 0 : v;
  }
  return 0;
}

__global__ void concat_forward_kernel(const StepState* state, ConcatArgs args) {
  const Place p = place_of(args.out.map, state->count, thread_index());
  if (!p.exists) return;
  Float8 y;
#pragma unroll
  for (int k = 0; k < kBlock; ++k) y.v[k] = concat_number(args, p, p.c + k);
  store8(args.out.data, p.i, y);
}

/// The gradient of a part's eight channels from an output pixel's; zeros in the padding.
__device__ inline Float8 part_gradient8(const PartArgs& part, const OutputMap& out,
                                        std::size_t pixel, int c) {
  Float8 g = zeros8();
#pragma unroll
  for (int k = 0; k < kBlock; ++k) {
    if (c + k < part.channels) g.v[k] = load(out.gradient, pixel + part.first + c + k);
  }
  return g;
}

__global__ void concat_backward_kernel(const StepState* state, PartArgs part, OutputMap out) {
  const Place p = place_of(part.in.map, state->count, thread_index());
  if (!p.exists) return;
  const int y = p.y - (part.shifted ? 1 : 0);
  const int x = p.x - (part.shifted ? 1 : 0);
  Float8 g = zeros8();
  if (y >= 0 && x >= 0) g = part_gradient8(part, out, pixel_at(out.map, p.n, y, x), p.c);
  store_gradient8(part.in, p.i, p.c, g);
}

__global__ void global_average_forward_kernel(const StepState* state, ConcatArgs args) {
  const Place p = place_of(args.out.map, state->count, thread_index());
  if (!p.exists) return;
  Float8 mean;
  for (int k = 0; k < kBlock; ++k) {
    const Map& map = args.parts[0].in.map;
    float sum = 0;
    for (int y = 0; y < map.height; ++y) {
      for (int x = 0; x < map.width; ++x) {
        sum += concat_number(args, {p.n, y, x, p.c, 0, true}, p.c + k);
      }
    }
    mean.v[k] = sum / static_cast<float>(map.height * map.width);
  }
  store8(args.out.data, p.i, mean);
}

__global__ void global_average_backward_kernel(const StepState* state, PartArgs part,
                                               OutputMap out) {
  const Place p = place_of(part.in.map, state->count, thread_index());
  if (!p.exists) return;
  Float8 g = part_gradient8(part, out, pixel_at(out.map, p.n, 0, 0), p.c);
  const float share = 1.0F / static_cast<float>(part.in.map.height * part.in.map.width);
#pragma unroll
  for (int k = 0; k < kBlock; ++k) g.v[k] *= share;
  store_gradient8(part.in, p.i, p.c, g);
}

/// The factors of a dropout's mask at a place; zeros in the padding.
__device__ inline Float8 mask8(const StepState& state, const DropoutArgs& args, const Place& p) {
  const float probability = args.path ? args.probability * state.drop_path : args.probability;
  const auto image = static_cast<uint64_t>(p.n);
  const auto pixels = static_cast<uint64_t>(args.out.map.height) * args.out.map.width;
  const uint64_t pixel = static_cast<uint64_t>(p.y) * args.out.map.width + p.x;
  Float8 mask;
  for (int k = 0; k < kBlock; ++k) {
    const auto c = static_cast<uint64_t>(p.c + k);
    const uint64_t element =
        args.path ? image : (image * static_cast<uint64_t>(args.channels) + c) * pixels + pixel;
    mask.v[k] = p.c + k < args.channels
                    ? mask_factor(state.seed, state.step, args.node, element, probability)
                    : 0.0F;
  }
  return mask;
}

__global__ void dropout_forward_kernel(const StepState* state, DropoutArgs args, bool training) {
  const Place p = place_of(args.out.map, state->count, thread_index());
  if (!p.exists) return;
  Float8 x = input8(args.in, p.i, p.c);
  if (training) {
    const Float8 mask = mask8(*state, args, p);
#pragma unroll
    for (int k = 0; k < kBlock; ++k) x.v[k] *= mask.v[k];
  }
  store8(args.out.data, p.i, x);
}

__global__ void dropout_backward_kernel(const StepState* state, DropoutArgs args) {
  const Place p = place_of(args.out.map, state->count, thread_index());
  if (!p.exists) return;
  Float8 g = load8(args.out.gradient, p.i);
  const Float8 mask = mask8(*state, args, p);
#pragma unroll
  for (int k = 0; k < kBlock; ++k) g.v[k] *= mask.v[k];
  store_gradient8(args.in, p.i, p.c, g);
}

void copy_images(const Launch& launch, const float* images, int channels, const OutputMap& out) {
  launch_places(launch, out.map, copy_images_kernel, launch.state, images, channels, out);
}
void add_forward(const Launch& launch, const AddArgs& args) {
  launch_places(launch, args.out.map, add_forward_kernel, launch.state, args);
}
void add_backward(const Launch& launch, const InputView& in, const OutputMap& out) {
  launch_places(launch, out.map, add_backward_kernel, launch.state, in, out);
}
void concat_forward(const Launch& launch, const ConcatArgs& args) {
  launch_places(launch, args.out.map, concat_forward_kernel, launch.state, args);
}
void concat_backward(const Launch& launch, const PartArgs& part, const OutputMap& out) {
  launch_places(launch, part.in.map, concat_backward_kernel, launch.state, part, out);
}
void global_average_forward(const Launch& launch, const ConcatArgs& args) {
  launch_places(launch, args.out.map, global_average_forward_kernel, launch.state, args);
}
void global_average_backward(const Launch& launch, const PartArgs& part, const OutputMap& out) {
  launch_places(launch, part.in.map, global_average_backward_kernel, launch.state, part, out);
}
void dropout_forward(const Launch& launch, const DropoutArgs& args, bool training) {
  launch_places(launch, args.out.map, dropout_forward_kernel, launch.state, args, training);
}
void dropout_backward(const Launch& launch, const DropoutArgs& args) {
  launch_places(launch, args.out.map, dropout_backward_kernel, launch.state, args);
}

void preload_elementwise() {
  preload_all(copy_images_kernel, add_forward_kernel, add_backward_kernel, concat_forward_kernel,
              concat_backward_kernel, global_average_forward_kernel, global_average_backward_kernel,
              dropout_forward_kernel, dropout_backward_kernel);
}

}  // namespace renas::cudnn
