#include "backend/cudnn/kernels/args.h"
#include "backend/cudnn/kernels/launcher.h"
#include "backend/cudnn/kernels/vectors.h"

namespace renas::cudnn {

__global__ void copy_input_kernel(const StepState* state, int batch, InputView in, MapData to) {
  const Place p = place_of(in.map, batch, thread_index());
  if (!p.exists) return;
  store8(to, p.i, p.n < state->count ? input8(in, p.i, p.c) : zeros8());
}

__global__ void copy_gradient_kernel(const StepState* state, int batch, OutputMap out, MapData to) {
  const Place p = place_of(out.map, batch, thread_index());
  if (!p.exists) return;
  store8(to, p.i, p.n < state->count ? output_gradient8(out, p.i, p.c) : zeros8());
}

__global__ void copy_to_bf16_kernel(const float* from, std::size_t size, uint16_t* to) {
  const std::size_t i = thread_index();
  if (i < size) to[i] = static_cast<uint16_t>(to_bf16_bits(from[i]));
}

void copy_input(const Launch& launch, const InputView& in, const MapData& to) {
  launch_places(launch, in.map, copy_input_kernel, launch.state, launch.batch, in, to);
}
void copy_gradient(const Launch& launch, const OutputMap& out, const MapData& to) {
  launch_places(launch, out.map, copy_gradient_kernel, launch.state, launch.batch, out, to);
}
void copy_to_bf16(const Launch& launch, const float* from, std::size_t size, uint16_t* to) {
  launch_threads(launch, size, copy_to_bf16_kernel, from, size, to);
}

void preload_dense() { preload_all(copy_input_kernel, copy_gradient_kernel, copy_to_bf16_kernel); }

}  // namespace renas::cudnn
