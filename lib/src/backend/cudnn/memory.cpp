#include "backend/cudnn/memory.h"

#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include "backend/cudnn/device.h"
#include "renas/error.h"

namespace renas::cudnn {

std::byte* DeviceMemory::allocate(std::size_t bytes) {
  void* p = nullptr;
  const cudaError_t status = cudaMalloc(&p, bytes);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // which clears it: the device is as good as before
    std::size_t unused = 0;
    std::size_t total = 0;
    check(cudaMemGetInfo(&unused, &total), "asking for free memory");
    throw OutOfMemory(fmt::format("GPU: {} MiB are needed, {} of {} MiB are free", bytes >> 20,
                                  unused >> 20, total >> 20));
  }
  check(status, "allocating memory");
  return static_cast<std::byte*>(p);
}

void DeviceMemory::free(std::byte* p) { cudaFree(p); }

std::byte* PinnedMemory::allocate(std::size_t bytes) {
  void* p = nullptr;
  check(cudaMallocHost(&p, bytes), "allocating pinned host memory");
  return static_cast<std::byte*>(p);
}

void PinnedMemory::free(std::byte* p) { cudaFreeHost(p); }

void copy_to_device(void* to, const void* from, std::size_t bytes, const char* what) {
  check(cudaMemcpy(to, from, bytes, cudaMemcpyHostToDevice), what);
  check(cudaStreamSynchronize(nullptr), what);
}

void Layout::upload() const {
  if (constants_.empty()) return;
  copy_to_device(base_ + first_constant_, constants_.data(), constants_.size(),
                 "copying constants to the GPU");
}

}  // namespace renas::cudnn
