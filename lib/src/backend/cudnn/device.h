#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <string>
#include <vector>

/// GPUs: which there are, and what an error of the CUDA runtime means.
namespace renas::cudnn {

struct GpuInfo {
  int index = 0;
  std::string name;  // "NVIDIA H100 80GB HBM3"
  std::string uuid;  // "GPU-8d3f...": the same for every process that sees the card
  std::string bus;   // "0000:1b:00", its address on the PCI bus
  int64_t bytes = 0;
  int major = 0;  // compute capability
  int minor = 0;
  bool compiles_kernels = false;  // when they are loaded, since the build has none for this card
};

/// The devices that can be used, which the build has kernels for. Where there is none, or some are
/// left out since it has none for them, sets `reason` to a sentence that says why.
std::vector<GpuInfo> list_gpus(std::string* reason = nullptr);

/// Where a device is: equal for all processes that use it, and on one machine only. Unlike their
/// UUIDs the places of two parts of one card (MIG) are equal.
std::string place_of(const GpuInfo& gpu);

/// Makes a device that of the calling thread.
void use_device(int index);

/// "driver 580.65.06, CUDA 13.0; runtime 13.0, cuDNN 9.19.0", of what runs.
std::string library_versions();

/// Throws InvalidInput where the cuDNN that runs is too old for what this build asks of it.
void expect_usable_cudnn();

/// Does nothing if `status` is cudaSuccess. Otherwise throws, with `what` in the message:
/// OutOfMemory; DeviceLost, where every later call to the device would fail too; Error.
void check(cudaError_t status, const char* what);

}  // namespace renas::cudnn
