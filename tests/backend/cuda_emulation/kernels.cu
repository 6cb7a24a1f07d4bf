#include <cuda/atomic>

#include "backend/cudnn/kernels/mma.h"
#include "kernels.h"

namespace renas::test {

using cudnn::shared_memory;
using cudnn::static_shared;

__global__ void fill(float* out, int size, float value) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < size) out[i] = value;
}

__global__ void add_one(const float* in, float* out, int size) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < size) out[i] = in[i] + 1;
}

__global__ void block_sums(const float* in, float* out) {
  auto* sums = shared_memory<float>();
  sums[threadIdx.x] = in[blockIdx.x * blockDim.x + threadIdx.x];
  for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
  }
  if (threadIdx.x == 0) out[blockIdx.x] = sums[0];
}

template <int Threads>
__device__ float sum_in_static_memory(float value) {
  auto& sums = static_shared<float[Threads]>();
  sums[threadIdx.x] = value;
  __syncthreads();
  float total = 0;
  for (int i = 0; i < Threads; ++i) total += sums[i];
  return total;
}

__global__ void block_sums_in_static_memory(const float* in, float* out) {
  auto& total = static_shared<float>();
  const float sum = sum_in_static_memory<64>(in[blockIdx.x * 64 + threadIdx.x]);
  if (threadIdx.x == 17) total = sum;
  __syncthreads();
  if (threadIdx.x == 0) out[blockIdx.x] = total;
}

__global__ void find_stale_shared_memory(int* out) {
  auto& fixed = static_shared<float[32]>();
  auto* dynamic = shared_memory<float>();
  const unsigned i = threadIdx.x;
  out[blockIdx.x * 32 + i] = fixed[i] == fixed[i] || dynamic[i] == dynamic[i] ? 1 : 0;
  fixed[i] = dynamic[i] = 1;
}

__global__ void warp_sums(const float* in, float* out) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  float sum = in[i];
  for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(0xffffffffU, sum, step);
  if (threadIdx.x % 32 == 0) out[i / 32] = sum;
}

__global__ void all_shuffles(int* out) {
  const int lane = static_cast<int>(threadIdx.x);
  out[lane] = __shfl_sync(0xffffffffU, 100 + lane, 3);
  out[32 + lane] = __shfl_sync(0xffffffffU, 100 + lane, 3, 8);
  out[64 + lane] = __shfl_down_sync(0xffffffffU, 100 + lane, 5);
  out[96 + lane] = __shfl_up_sync(0xffffffffU, 100 + lane, 5, 16);
  int odd = 0;
  if (lane % 2 == 1) odd = __shfl_xor_sync(0xaaaaaaaaU, 100 + lane, 2);
  out[128 + lane] = odd;
}

__global__ void last_block_sums(const float* in, float* partial, unsigned* arrived, float* out) {
  auto& last = static_shared<bool>();
  auto* sums = shared_memory<float>();
  sums[threadIdx.x] = in[blockIdx.x * blockDim.x + threadIdx.x];
  __syncthreads();
  if (threadIdx.x == 0) {
    float total = 0;
    for (unsigned i = 0; i < blockDim.x; ++i) total += sums[i];
    partial[blockIdx.x] = total;
    const cuda::atomic_ref<unsigned, cuda::thread_scope_device> counter(*arrived);
    last = counter.fetch_add(1, cuda::memory_order_acq_rel) == gridDim.x - 1;
  }
  __syncthreads();
  if (last && threadIdx.x == 0) {
    float total = 0;
    for (unsigned i = 0; i < gridDim.x; ++i) total += partial[i];
    *out = total;
    *arrived = 0;
  }
}

__global__ void multiply(const std::uint16_t* a, const std::uint16_t* b, float* d) {
  const unsigned group = threadIdx.x / 4;
  const unsigned pair = threadIdx.x % 4 * 2;
  const auto of_a = [&](unsigned row, unsigned column) {
    return *reinterpret_cast<const std::uint32_t*>(a + row * 16 + column);
  };
  const auto of_b = [&](unsigned row) {
    return static_cast<std::uint32_t>(b[row * 8 + group]) |
           static_cast<std::uint32_t>(b[(row + 1) * 8 + group]) << 16;
  };
  const std::uint32_t left[4] = {of_a(group, pair), of_a(group + 8, pair), of_a(group, pair + 8),
                                 of_a(group + 8, pair + 8)};
  const std::uint32_t right[2] = {of_b(pair), of_b(pair + 8)};
  float* place[4] = {d + group * 8 + pair, d + group * 8 + pair + 1, d + (group + 8) * 8 + pair,
                     d + (group + 8) * 8 + pair + 1};
  float sums[4] = {*place[0], *place[1], *place[2], *place[3]};
  cudnn::mma_m16n8k16(sums, left, right);
  for (int i = 0; i < 4; ++i) *place[i] = sums[i];
}

__global__ void count(int* counts) {
  atomicAdd(counts, 1);
  atomicMax(counts + 1, static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x) + 1);
  const cuda::atomic_ref<int, cuda::thread_scope_device> counter(counts[2]);
  counter.fetch_add(1, cuda::memory_order_relaxed);
}

__global__ void vote(int* out) {
  const bool odd = threadIdx.x % 2 == 1;
  const int odds = __syncthreads_count(odd);
  const int any = __syncthreads_or(odd);
  const int all = __syncthreads_and(odd);
  const unsigned lanes = __ballot_sync(0xffffffffU, odd);
  if (threadIdx.x == 0) {
    out[0] = odds;
    out[1] = any;
    out[2] = all;
    out[3] = static_cast<int>(lanes & 0xffU);
  }
}

}  // namespace renas::test
