#pragma once

// The emulation's twin of lib/src/backend/cudnn/kernels/launch.h, which it hides: kernels are
// functions of the host, and a launch goes to the emulated runtime.

#include <cuda_runtime.h>

#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>

#include "cuda_emulation/device_code.h"
#include "cuda_emulation/launch.h"

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
  return ::emulation::launch(
      reinterpret_cast<const void*>(kernel), grid.blocks, grid.threads, grid.shared_bytes, stream,
      std::make_unique<::emulation::BoundKernel<P...>>(kernel, std::forward<A>(arguments)...));
}

/// Loads a kernel, so that it can be captured. Its blocks may have `max_shared_bytes` of dynamic
/// shared memory where that is more than the 48 KiB of every kernel.
template <class... P>
[[nodiscard]] cudaError_t preload(void (*kernel)(P...), std::size_t max_shared_bytes = 0) {
  const auto* function = reinterpret_cast<const void*>(kernel);
#ifdef EMULATION_SHARED
  ::emulation::know(function, ::emulation::bind<P...>);
  return cudaSuccess;
#endif
  cudaFuncAttributes attributes{};
  const cudaError_t loaded = cudaFuncGetAttributes(&attributes, function);
  if (loaded != cudaSuccess || max_shared_bytes <= (std::size_t{48} << 10)) return loaded;
  return cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize,
                              static_cast<int>(max_shared_bytes));
}

/// The block's dynamic shared memory, 16-byte aligned.
template <class T>
T* shared_memory() {
  static_assert(alignof(T) <= 16);
  return static_cast<T*>(::emulation::dynamic_shared());
}

/// Static shared memory of the block, not initialised. In one kernel, the same type and number name
/// the same memory.
template <class T, int Number = 0>
T& static_shared() {
  static const char key = 0;
  return *static_cast<T*>(::emulation::static_shared(&key, sizeof(T), alignof(T)));
}

}  // namespace renas::cudnn
