#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <memory>
#include <tuple>
#include <utility>

/// How a kernel that the host's compiler compiled gets to the emulated runtime.
namespace emulation {

/// A kernel with its arguments, which are copied when it is launched, as a card's are.
class KernelCall {
 public:
  virtual ~KernelCall() = default;
  /// Runs one thread.
  virtual void run() const = 0;
};

template <class... P>
class BoundKernel final : public KernelCall {
 public:
  template <class... A>
  explicit BoundKernel(void (*kernel)(P...), A&&... arguments)
      : kernel_(kernel), arguments_(std::forward<A>(arguments)...) {}
  void run() const override { std::apply(kernel_, arguments_); }

 private:
  void (*kernel_)(P...);
  std::tuple<P...> arguments_;
};

/// Puts the kernel at the end of the stream's work, or into the graph that the stream captures.
cudaError_t launch(const void* function, dim3 blocks, dim3 threads, std::size_t shared_bytes,
                   cudaStream_t stream, std::unique_ptr<KernelCall> call);

}  // namespace emulation
