// Small kernels, each with a fault that its first template argument or an argument turns on: a
// program by itself, built with and without sanitizers. `planted NAME` runs one; `planted none`
// runs all of them without faults.
#include <cstdio>
#include <cstdlib>
#include <cuda/atomic>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "backend/cudnn/kernels/launch.h"
#include "device_array.h"

namespace renas::test {

using cudnn::Grid;
using cudnn::launch;
using cudnn::preload;
using cudnn::shared_memory;
using cudnn::static_shared;

/// A block turns its 256 numbers round.
template <bool Fault>
__global__ void reverse(const float* in, float* out) {
  auto* values = shared_memory<float>();
  values[threadIdx.x] = in[blockIdx.x * 256 + threadIdx.x];
  if (!Fault) __syncthreads();
  out[blockIdx.x * 256 + threadIdx.x] = values[255 - threadIdx.x];
}

template <bool Fault>
__global__ void reverse_in_static_memory(const float* in, float* out) {
  auto& values = static_shared<float[256]>();
  values[threadIdx.x] = in[blockIdx.x * 256 + threadIdx.x];
  if (!Fault) __syncthreads();
  out[blockIdx.x * 256 + threadIdx.x] = values[255 - threadIdx.x];
}

__global__ void index_static_memory(const float* in, float* out, int beyond) {
  auto& values = static_shared<float[256]>();
  values[threadIdx.x] = in[threadIdx.x];
  __syncthreads();
  out[threadIdx.x] = values[255 - threadIdx.x + static_cast<unsigned>(beyond)];
}

__global__ void copy_vectors(const float* in, float* out) {
  const auto vector = *reinterpret_cast<const float4*>(in + 4 * threadIdx.x);
  *reinterpret_cast<float4*>(out + 4 * threadIdx.x) = vector;
}

/// The sum of a block; wrong ones write all to one place.
template <bool Fault>
__global__ void count_blocks(int* out) {
  if (threadIdx.x == 0) out[Fault ? 0 : blockIdx.x] += 1;
}

/// The last block adds up.
template <bool Fault>
__global__ void last_block(float* partial, unsigned* arrived, float* out) {
  if (threadIdx.x != 0) return;
  partial[blockIdx.x] = static_cast<float>(blockIdx.x);
  const cuda::atomic_ref<unsigned, cuda::thread_scope_device> counter(*arrived);
  constexpr auto kOrder = Fault ? cuda::memory_order_relaxed : cuda::memory_order_acq_rel;
  if (counter.fetch_add(1, kOrder) == gridDim.x - 1) {
    float total = 0;
    for (unsigned i = 0; i < gridDim.x; ++i) total += partial[i];
    *out = total;
    *arrived = 0;
  }
}

/// The same with fences.
template <bool Fault>
__global__ void last_block_by_fence(float* partial, unsigned* arrived, float* out) {
  if (threadIdx.x != 0) return;
  partial[blockIdx.x] = static_cast<float>(blockIdx.x);
  if (!Fault) __threadfence();
  if (atomicInc(arrived, gridDim.x - 1) == gridDim.x - 1) {
    __threadfence();
    float total = 0;
    for (unsigned i = 0; i < gridDim.x; ++i) total += partial[i];
    *out = total;
  }
}

template <bool Fault>
__global__ void reverse_warp(const float* in, float* out) {
  auto* values = shared_memory<float>();
  values[threadIdx.x] = in[threadIdx.x];
  if (!Fault) __syncwarp();
  out[threadIdx.x] = values[threadIdx.x / 32 * 32 + 31 - threadIdx.x % 32];
}

template <bool Fault>
__global__ void barrier_in_a_branch(float* out) {
  if (!Fault || threadIdx.x < 216) __syncthreads();
  out[threadIdx.x] = 1;
}

template <bool Fault>
__global__ void two_barriers(float* out) {
  if (Fault && threadIdx.x < 128) {
    __syncthreads();
  } else {
    __syncthreads();
  }
  out[threadIdx.x] = 1;
}

template <bool Fault>
__global__ void shuffle(float* out) {
  float value = static_cast<float>(threadIdx.x);
  if (!Fault || threadIdx.x < 31) value = __shfl_xor_sync(0xffffffffU, value, 1);
  out[threadIdx.x] = value;
}

template <bool Fault>
__global__ void shuffle_halves(float* out) {
  const float value = static_cast<float>(threadIdx.x);
  if (threadIdx.x < 16) {
    out[threadIdx.x] = __shfl_xor_sync(0x0000ffffU, value, Fault ? 16 : 8);
  } else {
    out[threadIdx.x] = value;
  }
}

__global__ void set(float* out, int size, float value) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < size) out[i] = value;
}

__device__ float device_code() { return static_cast<float>(threadIdx.x); }

std::vector<float> ramp(int size) {
  std::vector<float> values(static_cast<std::size_t>(size));
  for (int i = 0; i < size; ++i) values[static_cast<std::size_t>(i)] = static_cast<float>(i);
  return values;
}

void expect(bool right, const char* what) {
  if (right) return;
  std::printf("%s: wrong values\n", what);
  std::exit(3);
}

constexpr std::size_t kBytes = 256 * sizeof(float);

using Program = std::function<void(bool fault)>;

template <class Kernel>
void run_reverse(Kernel* kernel, std::size_t shared_bytes, bool check) {
  const DeviceArray<float> in(ramp(4 * 256)), out(4 * 256);
  must(launch(kernel, Grid{4, 256, shared_bytes}, nullptr, in.data(), out.data()));
  const auto found = out.read();
  if (check) expect(found[0] == 255 && found[300] == 467, "reverse");
}

template <class Kernel>
void run_out(Kernel* kernel, int threads) {
  const DeviceArray<float> out(256);
  must(launch(kernel, Grid{1, threads}, nullptr, out.data()));
  must(cudaDeviceSynchronize());
}

template <class Kernel>
void run_last(Kernel* kernel, bool check) {
  const DeviceArray<float> partial(16), out(1);
  const DeviceArray<unsigned> arrived(std::vector<unsigned>{0});
  must(launch(kernel, Grid{16, 32}, nullptr, partial.data(), arrived.data(), out.data()));
  const auto found = out.read();
  if (check) expect(found[0] == 120, "last block");
}

void branches_of_a_graph(bool fault) {
  const TestStream main, side;
  const TestEvent fork, join;
  const DeviceArray<float> x(256), y(256);
  must(preload(set));
  must(cudaStreamBeginCapture(main, cudaStreamCaptureModeThreadLocal));
  must(cudaEventRecord(fork, main));
  must(cudaStreamWaitEvent(side, fork, 0));
  must(launch(set, Grid{1, 256}, main, x.data(), 256, 1.0F));
  must(launch(set, Grid{1, 256}, side, fault ? x.data() : y.data(), 256, 2.0F));
  must(cudaEventRecord(join, side));
  must(cudaStreamWaitEvent(main, join, 0));
  cudaGraph_t graph = nullptr;
  must(cudaStreamEndCapture(main, &graph));
  cudaGraphExec_t instance = nullptr;
  must(cudaGraphInstantiate(&instance, graph, 0));
  must(cudaGraphDestroy(graph));
  for (int i = 0; i < 3; ++i) must(cudaGraphLaunch(instance, main));
  main.wait();
  must(cudaGraphExecDestroy(instance));
}

void event_between_streams(bool fault) {
  const TestStream copy, compute;
  const TestEvent copied;
  PinnedArray<float> host(256), result(256);
  const DeviceArray<float> in(256), out(256);
  for (std::size_t i = 0; i < 256; ++i) host[i] = static_cast<float>(i);
  must(cudaMemcpyAsync(in.data(), host.data(), kBytes, cudaMemcpyHostToDevice, copy));
  must(cudaEventRecord(copied, copy));
  if (!fault) must(cudaStreamWaitEvent(compute, copied, 0));
  must(launch(reverse<false>, Grid{1, 256, kBytes}, compute, in.data(), out.data()));
  must(cudaMemcpyAsync(result.data(), out.data(), kBytes, cudaMemcpyDeviceToHost, compute));
  compute.wait();
  if (!fault) expect(result[0] == 255, "event");
  copy.wait();
}

void host_waits(bool fault) {
  const TestStream stream;
  PinnedArray<float> result(256);
  const DeviceArray<float> out(256);
  must(launch(set, Grid{1, 256}, stream, out.data(), 256, 3.0F));
  must(cudaMemcpyAsync(result.data(), out.data(), kBytes, cudaMemcpyDeviceToHost, stream));
  if (!fault) stream.wait();
  expect(result[7] == 3 || fault, "host waits");
  stream.wait();
}

/// The host fills a buffer again that a copy may still read.
void staging(bool fault) {
  const TestStream stream;
  const TestEvent copied;
  PinnedArray<float> host(256);
  const DeviceArray<float> in(256);
  for (std::size_t i = 0; i < 256; ++i) host[i] = 1;
  must(cudaMemcpyAsync(in.data(), host.data(), kBytes, cudaMemcpyHostToDevice, stream));
  must(cudaEventRecord(copied, stream));
  if (!fault) must(cudaEventSynchronize(copied));
  for (std::size_t i = 0; i < 256; ++i) host[i] = 2;
  stream.wait();
  if (!fault) expect(in.read()[0] == 1, "staging");
}

float* freed() {
  const DeviceArray<float> gone(256);
  return gone.data();
}

const std::map<std::string, Program>& programs() {
  static const std::map<std::string, Program> all{
      {"shared-memory-one-row-short",
       [](bool fault) { run_reverse(reverse<false>, fault ? kBytes - 128 : kBytes, true); }},
      {"array-beyond-its-end",
       [](bool fault) {
         const DeviceArray<float> in(256), out(256);
         must(launch(index_static_memory, Grid{1, 256}, nullptr, in.data(), out.data(),
                     fault ? 1 : 0));
         must(cudaDeviceSynchronize());
       }},
      {"misaligned-vector",
       [](bool fault) {
         const DeviceArray<float> in(ramp(260)), out(256);
         must(launch(copy_vectors, Grid{1, 64}, nullptr, in.data() + (fault ? 1 : 4), out.data()));
         expect(out.read()[0] == 4, "vectors");
       }},
      {"barrier-left-out",
       [](bool fault) { run_reverse(fault ? reverse<true> : reverse<false>, kBytes, !fault); }},
      {"static-barrier-left-out",
       [](bool fault) {
         run_reverse(fault ? reverse_in_static_memory<true> : reverse_in_static_memory<false>, 0,
                     !fault);
       }},
      {"blocks-write-one-place",
       [](bool fault) {
         const DeviceArray<int> out(std::vector<int>(16, 0));
         must(launch(fault ? count_blocks<true> : count_blocks<false>, Grid{16, 32}, nullptr,
                     out.data()));
         must(cudaDeviceSynchronize());
       }},
      {"counter-without-order",
       [](bool fault) { run_last(fault ? last_block<true> : last_block<false>, !fault); }},
      {"fence-left-out",
       [](bool fault) {
         run_last(fault ? last_block_by_fence<true> : last_block_by_fence<false>, !fault);
       }},
      {"warp-barrier-left-out",
       [](bool fault) {
         const DeviceArray<float> in(ramp(256)), out(256);
         must(launch(fault ? reverse_warp<true> : reverse_warp<false>, Grid{1, 256, kBytes},
                     nullptr, in.data(), out.data()));
         const auto found = out.read();
         if (!fault) expect(found[0] == 31 && found[32] == 63, "reverse warp");
       }},
      {"event-not-waited-for", event_between_streams},
      {"host-does-not-wait", host_waits},
      {"branches-of-a-graph-share", branches_of_a_graph},
      {"staging-overwritten", staging},
      {"barrier-in-a-branch",
       [](bool fault) {
         run_out(fault ? barrier_in_a_branch<true> : barrier_in_a_branch<false>, 256);
       }},
      {"different-barriers",
       [](bool fault) { run_out(fault ? two_barriers<true> : two_barriers<false>, 256); }},
      {"shuffle-of-an-absent-lane",
       [](bool fault) { run_out(fault ? shuffle<true> : shuffle<false>, 64); }},
      {"shuffle-outside-of-its-mask",
       [](bool fault) { run_out(fault ? shuffle_halves<true> : shuffle_halves<false>, 32); }},
      {"memory-beyond-its-end",
       [](bool fault) {
         const DeviceArray<float> out(256);
         must(launch(set, Grid{5, 256}, nullptr, out.data(), fault ? 1100 : 256, 1.0F));
         must(cudaDeviceSynchronize());
       }},
      {"memory-just-beyond-its-end",
       [](bool fault) {
         const DeviceArray<float> out(250);
         must(launch(set, Grid{1, 256}, nullptr, out.data(), fault ? 251 : 250, 1.0F));
         must(cudaDeviceSynchronize());
       }},
      {"memory-used-after-free",
       [](bool fault) {
         const DeviceArray<float> out(256);
         must(launch(set, Grid{1, 256}, nullptr, fault ? freed() : out.data(), 256, 1.0F));
         must(cudaDeviceSynchronize());
       }},
      {"host-reads-device-memory",
       [](bool fault) {
         const DeviceArray<float> out(ramp(256));
         if (fault) expect(out.data()[7] == 7, "host");
       }},
      {"memory-of-another-device",
       [](bool fault) {
         const DeviceArray<float> out(256);
         if (fault) must(cudaSetDevice(1));
         must(launch(set, Grid{1, 256}, nullptr, out.data(), 256, 1.0F));
         must(cudaDeviceSynchronize());
         must(cudaSetDevice(0));
       }},
      {"device-code-on-the-host",
       [](bool fault) {
         if (fault) device_code();
       }},
      {"runtime-called-in-a-host-function",
       [](bool fault) {
         const TestStream stream;
         must(cudaLaunchHostFunc(
             stream, fault ? [](void*) { cudaDeviceSynchronize(); } : [](void*) {}, nullptr));
         stream.wait();
       }},
      {"leak",
       [](bool fault) {
         void* memory = nullptr;
         must(cudaMalloc(&memory, 16));
         if (!fault) must(cudaFree(memory));
       }},
  };
  return all;
}

}  // namespace renas::test

int main(int argc, char** argv) {
  const auto& programs = renas::test::programs();
  const std::string name = argc == 2 ? argv[1] : "";
  if (name == "none") {
    for (const auto& [_, program] : programs) program(false);
    std::printf("right\n");
    return 0;
  }
  const auto found = programs.find(name);
  if (found == programs.end()) {
    std::fprintf(
        stderr,
        "planted: expected 'none' or one of the faults that faults_test.cpp lists, got '%s'\n",
        name.c_str());
    return 2;
  }
  found->second(true);
  return 0;
}
