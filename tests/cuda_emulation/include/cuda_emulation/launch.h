#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <memory>
#include <tuple>
#include <type_traits>
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

/// Makes a call of `function`, a kernel of some type, from pointers to its arguments.
using Bind = std::unique_ptr<KernelCall> (*)(const void* function, void** arguments);

/// Bind for kernels that take P...
template <class... P>
std::unique_ptr<KernelCall> bind(const void* function, void** arguments) {
  auto* const kernel = reinterpret_cast<void (*)(P...)>(const_cast<void*>(function));
  return [&]<std::size_t... I>(std::index_sequence<I...>) {
    return std::make_unique<BoundKernel<P...>>(
        kernel, *static_cast<std::remove_reference_t<P>*>(arguments[I])...);
  }
  (std::index_sequence_for<P...>{});
}

/// Makes a kernel known by its mangled name, in the shared library (src/nvcc.cpp).
void know(const void* function, Bind bind);

/// Puts the kernel at the end of the stream's work, or into the graph that the stream captures.
cudaError_t launch(const void* function, dim3 blocks, dim3 threads, std::size_t shared_bytes,
                   cudaStream_t stream, std::unique_ptr<KernelCall> call);

}  // namespace emulation
