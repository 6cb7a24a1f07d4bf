// What code that nvcc compiled asks of the runtime, which knows kernels by the addresses of their
// stubs. It is part of the shared library alone, which takes the place of libcudart and libcudnn
// under a program that is linked against these. The library's own kernels are compiled by the
// host's compiler from the same sources, so a stub's kernel is the one of the same mangled name.

#include <cuda_runtime.h>
#include <dlfcn.h>

#include <map>
#include <string>

#include "cuda_emulation/launch.h"
#include "fail.h"
#include "machine.h"

namespace renas::cudnn {
void preload_kernels();

/// Nothing is loaded here that could fail.
void check(cudaError_t, const char*) {}
}  // namespace renas::cudnn

namespace emulation {

namespace {

struct Kernel {
  const void* function = nullptr;
  Bind bind = nullptr;
};

struct Kernels {
  std::map<std::string, Kernel> by_name;
  std::map<const void*, std::string> names_of_stubs;
};

Kernels& kernels() {
  static Kernels all;
  return all;
}

}  // namespace

void know(const void* function, Bind bind) {
  Dl_info info{};
  if (dladdr(function, &info) == 0 || info.dli_sname == nullptr || info.dli_saddr != function) {
    fail("a kernel of the shared library has no name that can be looked up");
  }
  kernels().by_name[info.dli_sname] = {function, bind};
}

}  // namespace emulation

extern "C" {

cudaError_t cudaLaunchKernel(const void* stub, dim3 blocks, dim3 threads, void** arguments,
                             size_t shared_bytes, cudaStream_t stream) {
  const emulation::Kernels& all = emulation::kernels();
  const auto name = all.names_of_stubs.find(stub);
  if (name == all.names_of_stubs.end()) {
    return emulation::refuse(cudaErrorInvalidDeviceFunction, "a kernel that is not registered");
  }
  const auto kernel = all.by_name.find(name->second);
  if (kernel == all.by_name.end()) {
    return emulation::refuse(cudaErrorInvalidDeviceFunction,
                             "a kernel that preload_kernels() does not load: " + name->second);
  }
  return emulation::launch(stub, blocks, threads, shared_bytes, stream,
                           kernel->second.bind(kernel->second.function, arguments));
}

// What nvcc's code calls before main, and its stubs.

void** __cudaRegisterFatBinary(void*) {
  static void* handle = nullptr;
  return &handle;
}

void __cudaRegisterFatBinaryEnd(void**) {
  static const bool known = [] {
    renas::cudnn::preload_kernels();
    return true;
  }();
  (void)known;
}

void __cudaUnregisterFatBinary(void**) {}

void __cudaRegisterFunction(void**, const char* stub, char*, const char* name, int, uint3*, uint3*,
                            dim3*, dim3*, int*) {
  emulation::kernels().names_of_stubs[stub] = name;
}

unsigned __cudaPushCallConfiguration(dim3, dim3, size_t, CUstream_st*) {
  emulation::fail("a launch by <<<>>>; the backend's kernels are launched by launch()");
}

cudaError_t __cudaPopCallConfiguration(dim3*, dim3*, size_t*, void*) {
  emulation::fail("a launch by <<<>>>; the backend's kernels are launched by launch()");
}

cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void* stub) {
  *kernel = reinterpret_cast<cudaKernel_t>(const_cast<void*>(stub));
  return cudaSuccess;
}

cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 blocks, dim3 threads, void** arguments,
                               size_t shared_bytes, cudaStream_t stream) {
  return cudaLaunchKernel(kernel, blocks, threads, arguments, shared_bytes, stream);
}

}  // extern "C"
