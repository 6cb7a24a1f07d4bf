#pragma once

// How kernels are launched and how they find their shared memory. The emulation of CUDA
// (tests/cuda_emulation) has a twin of this file, which comes first on its include path: include it
// by its full path, and change both.

#include <cuda_runtime.h>

#include <cstddef>
#include <type_traits>
#include <utility>

namespace renas::cudnn {

/// How many blocks of how many threads, and the dynamic shared memory of each block.
struct Grid {
  dim3 blocks;
  dim3 threads;
  std::size_t shared_bytes = 0;
};

/// Launches a kernel. Its arguments are copied now.
template <class... P, class... A>
[[nodiscard]] cudaError_t launch(void (*kernel)(P...), const Grid& grid, cudaStream_t stream,
                                 A&&... arguments) {
  static_assert(sizeof...(P) == sizeof...(A), "a kernel is launched with all its arguments");
  static_assert((std::is_trivially_copyable_v<P> && ...),
                "arguments travel to the device as bytes");
  static_assert((sizeof(P) + ... + 0) <= 4096, "a kernel takes at most 4096 bytes of arguments");
  // The inner function converts each argument to the type of its parameter.
  const auto with_parameters = [&](P... parameters) {
    void* pointers[sizeof...(P) + 1] = {static_cast<void*>(&parameters)..., nullptr};
    return cudaLaunchKernel(reinterpret_cast<const void*>(kernel), grid.blocks, grid.threads,
                            pointers, grid.shared_bytes, stream);
  };
  return with_parameters(std::forward<A>(arguments)...);
}

/// Loads a kernel, so that it can be captured. Its blocks may have `max_shared_bytes` of dynamic
/// shared memory where that is more than the 48 KiB of every kernel.
template <class... P>
[[nodiscard]] cudaError_t preload(void (*kernel)(P...), std::size_t max_shared_bytes = 0) {
  const auto* function = reinterpret_cast<const void*>(kernel);
  cudaFuncAttributes attributes{};
  const cudaError_t loaded = cudaFuncGetAttributes(&attributes, function);
  if (loaded != cudaSuccess || max_shared_bytes <= (std::size_t{48} << 10)) return loaded;
  return cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize,
                              static_cast<int>(max_shared_bytes));
}

#ifdef __CUDACC__
/// The block's dynamic shared memory, 16-byte aligned.
template <class T>
__device__ T* shared_memory() {
  static_assert(alignof(T) <= 16);
  extern __shared__ __align__(16) unsigned char renas_dynamic_shared[];
  return reinterpret_cast<T*>(renas_dynamic_shared);
}

/// Static shared memory of the block, not initialised. In one kernel, the same type and number name
/// the same memory.
template <class T, int Number = 0>
__device__ T& static_shared() {
  __shared__ T variable;
  return variable;
}
#endif

}  // namespace renas::cudnn
