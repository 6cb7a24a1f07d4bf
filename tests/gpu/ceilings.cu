// What this GPU can do at best: the figures that the speed of a training step is held against.
// First it checks the tensor cores' product against loops, since its operands' order can be seen on
// a GPU only. Prints JSON; exit code 1 where the product is wrong.
#include <cuda_bf16.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <random>
#include <vector>

#include "backend/cudnn/kernels/launch.h"
#include "backend/cudnn/kernels/mma.h"

using namespace renas::cudnn;

namespace {

void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  std::fprintf(stderr, "gpu-ceilings: %s: %s\n", what, cudaGetErrorString(status));
  std::exit(1);
}

/// Memory of the device.
template <class T>
class Array {
 public:
  explicit Array(std::size_t size) {
    check(cudaMalloc(&data_, size * sizeof(T)), "allocating");
    check(cudaMemset(data_, 0, size * sizeof(T)), "clearing");
  }
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;
  ~Array() { cudaFree(data_); }
  T* data() const { return static_cast<T*>(data_); }

 private:
  void* data_ = nullptr;
};

/// The shortest of some runs of `work`, in seconds, between two events of the stream.
double seconds(cudaStream_t stream, const std::function<void()>& work) {
  cudaEvent_t begin = nullptr;
  cudaEvent_t end = nullptr;
  check(cudaEventCreate(&begin), "making an event");
  check(cudaEventCreate(&end), "making an event");
  double best = 1e9;
  for (int i = 0; i < 12; ++i) {
    check(cudaEventRecord(begin, stream), "recording an event");
    work();
    check(cudaEventRecord(end, stream), "recording an event");
    check(cudaEventSynchronize(end), "waiting");
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, begin, end), "reading a time");
    if (i >= 2) best = std::min(best, milliseconds * 1e-3);
  }
  cudaEventDestroy(begin);
  cudaEventDestroy(end);
  return best;
}

__global__ void empty() {}

__global__ void copy(const float4* from, float4* to, std::size_t size) {
  const std::size_t step = std::size_t{gridDim.x} * blockDim.x;
  for (std::size_t i = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x; i < size; i += step) {
    to[i] = from[i];
  }
}

constexpr int kRounds = 4096;  // of each thread's products
constexpr int kChains = 8;     // independent of each other

__global__ void multiply_add(float* out, float factor) {
  float sums[kChains];
  for (int c = 0; c < kChains; ++c) sums[c] = static_cast<float>(threadIdx.x + c);
  for (int i = 0; i < kRounds; ++i) {
#pragma unroll
    for (int c = 0; c < kChains; ++c) sums[c] = sums[c] * factor + 0.5F;
  }
  float sum = 0;
  for (int c = 0; c < kChains; ++c) sum += sums[c];
  out[blockIdx.x * blockDim.x + threadIdx.x] = sum;
}

__global__ void multiply_tiles(float* out, std::uint32_t value) {
  float sums[kChains][4] = {};
  const std::uint32_t a[4] = {value, value + 1, value + 2, threadIdx.x};
  const std::uint32_t b[2] = {value, threadIdx.x};
  for (int i = 0; i < kRounds; ++i) {
#pragma unroll
    for (int c = 0; c < kChains; ++c) mma_m16n8k16(sums[c], a, b);
  }
  float sum = 0;
  for (int c = 0; c < kChains; ++c) sum += sums[c][0] + sums[c][1] + sums[c][2] + sums[c][3];
  out[blockIdx.x * blockDim.x + threadIdx.x] = sum;
}

__device__ std::uint32_t pair(const __nv_bfloat16* first, const __nv_bfloat16* second) {
  const auto bits = [](const __nv_bfloat16* v) {
    return std::uint32_t{*reinterpret_cast<const std::uint16_t*>(v)};
  };
  return bits(first) | bits(second) << 16;
}

/// d [16, 8] = a [16, 16] b [16, 8] by one warp.
__global__ void one_tile(const __nv_bfloat16* a, const __nv_bfloat16* b, float* d) {
  const int g = static_cast<int>(threadIdx.x) / 4;
  const int p = 2 * (static_cast<int>(threadIdx.x) % 4);
  const auto a_pair = [&](int row, int column) {
    return pair(a + row * 16 + column, a + row * 16 + column + 1);
  };
  const auto b_pair = [&](int row, int column) {
    return pair(b + row * 8 + column, b + (row + 1) * 8 + column);
  };
  const std::uint32_t left[4] = {a_pair(g, p), a_pair(g + 8, p), a_pair(g, p + 8),
                                 a_pair(g + 8, p + 8)};
  const std::uint32_t right[2] = {b_pair(p, g), b_pair(p + 8, g)};
  float sums[4] = {};
  mma_m16n8k16(sums, left, right);
  d[g * 8 + p] = sums[0];
  d[g * 8 + p + 1] = sums[1];
  d[(g + 8) * 8 + p] = sums[2];
  d[(g + 8) * 8 + p + 1] = sums[3];
}

/// The largest error of one_tile() on numbers that bfloat16 holds exactly.
double error_of_one_tile(cudaStream_t stream) {
  std::mt19937 random(1);
  std::uniform_int_distribution<int> draw(-64, 64);
  std::vector<float> a(256);
  std::vector<float> b(128);
  for (float& v : a) v = static_cast<float>(draw(random));
  for (float& v : b) v = static_cast<float>(draw(random));
  const auto rounded = [](const std::vector<float>& values) {
    std::vector<__nv_bfloat16> result;
    for (const float v : values) result.push_back(__float2bfloat16(v));
    return result;
  };
  const std::vector<__nv_bfloat16> host_a = rounded(a);
  const std::vector<__nv_bfloat16> host_b = rounded(b);
  const Array<__nv_bfloat16> device_a(a.size());
  const Array<__nv_bfloat16> device_b(b.size());
  const Array<float> device_d(128);
  check(cudaMemcpy(device_a.data(), host_a.data(), 512, cudaMemcpyHostToDevice), "copying");
  check(cudaMemcpy(device_b.data(), host_b.data(), 256, cudaMemcpyHostToDevice), "copying");
  check(cudaStreamSynchronize(nullptr), "copying");  // which may be under way until here
  check(launch(one_tile, Grid{1, 32}, stream, device_a.data(), device_b.data(), device_d.data()),
        "multiplying a tile");
  std::vector<float> d(128);
  check(cudaStreamSynchronize(stream), "waiting");
  check(cudaMemcpy(d.data(), device_d.data(), 512, cudaMemcpyDeviceToHost), "copying");
  double error = 0;
  for (std::size_t row = 0; row < 16; ++row) {
    for (std::size_t column = 0; column < 8; ++column) {
      double sum = 0;
      for (std::size_t k = 0; k < 16; ++k) sum += double{a[row * 16 + k]} * b[k * 8 + column];
      error = std::max(error, std::abs(sum - d[row * 8 + column]));
    }
  }
  return error;
}

/// Bytes read and written a second, copying `bytes` at a time.
double copied_bytes_per_second(cudaStream_t stream, std::size_t bytes, unsigned blocks) {
  const std::size_t size = bytes / sizeof(float4);
  const Array<float4> from(size);
  const Array<float4> to(size);
  const int times = bytes < (std::size_t{64} << 20) ? 50 : 2;
  const double time = seconds(stream, [&] {
    for (int i = 0; i < times; ++i) {
      check(launch(copy, Grid{blocks, 512}, stream, from.data(), to.data(), size), "copying");
    }
  });
  return 2.0 * static_cast<double>(bytes) * times / time;
}

double seconds_of_an_empty_kernel(cudaStream_t stream, bool in_a_graph) {
  constexpr int kKernels = 200;
  const auto launch_all = [&] {
    for (int i = 0; i < kKernels; ++i) check(launch(empty, Grid{1, 32}, stream), "launching");
  };
  if (!in_a_graph) return seconds(stream, launch_all) / kKernels;
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t made = nullptr;
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "recording");
  launch_all();
  check(cudaStreamEndCapture(stream, &graph), "recording");
  check(cudaGraphInstantiate(&made, graph, 0), "instantiating");
  const double time = seconds(stream, [&] { check(cudaGraphLaunch(made, stream), "launching"); });
  cudaGraphExecDestroy(made);
  cudaGraphDestroy(graph);
  return time / kKernels;
}

}  // namespace

int main() {
  cudaDeviceProp device{};
  check(cudaGetDeviceProperties(&device, 0), "asking for GPU 0");
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "making a stream");
  const double error = error_of_one_tile(stream);
  const auto blocks = static_cast<unsigned>(device.multiProcessorCount) * 8;
  const Array<float> out(std::size_t{blocks} * 256);
  const double threads = static_cast<double>(blocks) * 256;
  const double fma = seconds(stream, [&] {
    check(launch(multiply_add, Grid{blocks, 256}, stream, out.data(), 0.999F), "multiplying");
  });
  const double tiles = seconds(stream, [&] {
    check(launch(multiply_tiles, Grid{blocks, 256}, stream, out.data(), 1U), "multiplying tiles");
  });
  std::printf(
      "{\"device\": \"%s\", \"multiprocessors\": %d, \"tile_error\": %g, "
      "\"copy_bytes_per_second\": "
      "%.4g, \"copy_in_cache_bytes_per_second\": %.4g, \"float32_flops\": %.4g, "
      "\"bf16_tile_flops\": "
      "%.4g, \"kernel_in_graph_seconds\": %.3g, \"kernel_seconds\": %.3g}\n",
      device.name, device.multiProcessorCount, error,
      copied_bytes_per_second(stream, std::size_t{1} << 30, blocks),
      copied_bytes_per_second(stream, std::size_t{8} << 20, blocks),
      2.0 * kRounds * kChains * threads / fma,
      2.0 * 16 * 8 * 16 * kRounds * kChains * (threads / 32) / tiles,
      seconds_of_an_empty_kernel(stream, true), seconds_of_an_empty_kernel(stream, false));
  cudaStreamDestroy(stream);
  return error == 0 ? 0 : 1;
}
