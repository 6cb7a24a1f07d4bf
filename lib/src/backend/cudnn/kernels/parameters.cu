#include "backend/cudnn/kernels/args.h"
#include "backend/cudnn/kernels/launcher.h"
#include "backend/cudnn/kernels/vectors.h"

namespace renas::cudnn {

__global__ void pack_weights_kernel(const float* values, const uint32_t* from, const uint32_t* to,
                                    std::size_t size, float* packed) {
  const std::size_t i = thread_index();
  if (i < size) packed[to[i]] = values[from[i]];
}

__global__ void add_weight_gradients_kernel(const float* partials, std::size_t stride, int slices,
                                            const uint32_t* from, const uint32_t* to,
                                            std::size_t size, float* gradient) {
  const std::size_t i = thread_index();
  if (i >= size) return;
  float sum = 0;
  for (int slice = 0; slice < slices; ++slice) sum += partials[slice * stride + from[i]];
  gradient[to[i]] += sum;
}

/// A block for each run.
__global__ void sgd_kernel(const SgdRun* runs, const float* rates, float momentum, float decay,
                           bool nesterov, bool decay_norms, float* values, float* gradients,
                           float* momenta) {
  const SgdRun run = runs[blockIdx.x];
  const float rate = rates[run.group];
  for (uint32_t k = threadIdx.x; k < run.size; k += blockDim.x) {
    const std::size_t i = static_cast<std::size_t>(run.begin) + k;
    const float slope = gradients[i] + decay * (decay_norms ? 1.0F : run.decay) * values[i];
    const float v = momentum * momenta[i] + slope;
    momenta[i] = v;
    values[i] -= rate * (nesterov ? slope + momentum * v : v);
    gradients[i] = 0;
  }
}

__global__ void scale_kernel(float* values, std::size_t size, float factor) {
  const std::size_t i = thread_index();
  if (i < size) values[i] *= factor;
}

__global__ void fill_kernel(float* values, std::size_t size, float value) {
  const std::size_t i = thread_index();
  if (i < size) values[i] = value;
}

void pack_weights(const Launch& to, const float* values, const uint32_t* from,
                  const uint32_t* targets, std::size_t size, float* packed) {
  launch_threads(to, size, pack_weights_kernel, values, from, targets, size, packed);
}
void add_weight_gradients(const Launch& to, const float* partials, std::size_t stride, int slices,
                          const uint32_t* from, const uint32_t* targets, std::size_t size,
                          float* gradient) {
  launch_threads(to, size, add_weight_gradients_kernel, partials, stride, slices, from, targets,
                 size, gradient);
}
void sgd(const Launch& to, const SgdRun* runs, int count, const float* rates, float momentum,
         float decay, bool nesterov, bool decay_norms, float* values, float* gradients,
         float* momenta) {
  if (count == 0) return;
  launch_grid(to, {dim3(static_cast<unsigned>(count)), dim3(256), 0}, sgd_kernel, runs, rates,
              momentum, decay, nesterov, decay_norms, values, gradients, momenta);
}
void scale(const Launch& to, float* values, std::size_t size, float factor) {
  launch_threads(to, size, scale_kernel, values, size, factor);
}

void fill(const Launch& to, float* values, std::size_t size, float value) {
  launch_threads(to, size, fill_kernel, values, size, value);
}

void preload_parameters() {
  preload_all(fill_kernel, pack_weights_kernel, add_weight_gradients_kernel, sgd_kernel,
              scale_kernel);
}

void preload_bias();
void preload_dense();
void preload_elementwise();
void preload_pool();
void preload_resize();
void preload_select_channels();
void preload_depthwise();
void preload_product();
void preload_norm();
void preload_loss();

void preload_kernels() {
  preload_bias();
  preload_dense();
  preload_elementwise();
  preload_pool();
  preload_resize();
  preload_select_channels();
  preload_depthwise();
  preload_product();
  preload_norm();
  preload_loss();
  preload_parameters();
}

}  // namespace renas::cudnn
