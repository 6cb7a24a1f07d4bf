#include "backend/cudnn/device.h"

#include <cudnn_graph.h>
#include <dlfcn.h>
#include <fmt/format.h>

#include <fstream>
#include <regex>

#include "backend/cudnn/architectures.h"
#include "renas/error.h"

namespace renas::cudnn {

namespace {

/// True for errors that stay: the process has to end before the device can be used again.
bool stays(cudaError_t status) {
  switch (status) {
    case cudaErrorIllegalAddress:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorIllegalInstruction:
    case cudaErrorLaunchFailure:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
    case cudaErrorHardwareStackError:
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorDevicesUnavailable:
    case cudaErrorMpsRpcFailure:
    case cudaErrorMpsServerNotReady:
    case cudaErrorMpsClientTerminated:
    case cudaErrorUnknown:
      return true;
    default:
      return false;
  }
}

/// Why no device answers, in words that say what to do.
std::string reason_of(cudaError_t status, int count) {
  switch (status) {
    case cudaSuccess:
      return count > 0 ? "" : "no GPU is visible (CUDA_VISIBLE_DEVICES hides them all?)";
    case cudaErrorInsufficientDriver:
      return fmt::format("there is no NVIDIA driver, or it is too old for CUDA {}.{}",
                         CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
    case cudaErrorNoDevice:
      return "the NVIDIA driver sees no GPU";
    case cudaErrorSystemNotReady:
      return "the system's GPU services are not ready yet (error 802)";
    case cudaErrorSystemDriverMismatch:
      return "the NVIDIA driver's kernel module and its library have different versions (error "
             "803)";
    case cudaErrorCompatNotSupportedOnDevice:
      return "this GPU does not support CUDA's forward compatibility (error 804)";
    default:
      return fmt::format("{} (error {})", cudaGetErrorString(status), static_cast<int>(status));
  }
}

std::string uuid_of(const cudaUUID_t& uuid) {
  std::string text = "GPU-";
  for (int i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += fmt::format("{:02x}", static_cast<unsigned char>(uuid.bytes[i]));
  }
  return text;
}

std::string version(int number) { return fmt::format("{}.{}", number / 1000, number % 1000 / 10); }

std::string cudnn_version(std::size_t number) {
  return fmt::format("{}.{}.{}", number / 10000, number / 100 % 100, number % 100);
}

/// The version that the driver goes by, as 580.65.06; empty where it is not to be read.
std::string driver_version() {
  std::ifstream file("/proc/driver/nvidia/version");
  std::string line;
  std::getline(file, line);
  std::smatch found;
  return std::regex_search(line, found, std::regex(R"([0-9]+\.[0-9]+(\.[0-9]+)?)")) ? found.str()
                                                                                    : "";
}

std::string separated(std::string_view architectures, const char* separator) {
  return std::regex_replace(std::string(architectures), std::regex(","), separator);
}

}  // namespace

std::vector<GpuInfo> list_gpus(std::string* reason) {
  int count = 0;  // an error leaves it as it is
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess) {
    count = 0;
    cudaGetLastError();  // which clears it
  }
  if (reason != nullptr) *reason = reason_of(status, count);
  std::vector<GpuInfo> devices;
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, i), "reading a GPU's properties");
    const KernelFit fit = kernel_fit(properties.major, properties.minor, built_architectures());
    if (fit == KernelFit::kNone) {
      if (reason != nullptr && reason->empty()) {
        *reason = fmt::format(
            "{} has compute capability {}.{}, and this build has kernels for {}; configure it with "
            "-DCMAKE_CUDA_ARCHITECTURES=\"{}{};{}\"",
            properties.name, properties.major, properties.minor,
            separated(built_architectures(), ", "), properties.major, properties.minor,
            separated(built_architectures(), ";"));
      }
      continue;
    }
    devices.push_back({i, properties.name, uuid_of(properties.uuid),
                       fmt::format("{:04x}:{:02x}:{:02x}", properties.pciDomainID,
                                   properties.pciBusID, properties.pciDeviceID),
                       static_cast<int64_t>(properties.totalGlobalMem), properties.major,
                       properties.minor, fit == KernelFit::kCompiledAtStart});
  }
  return devices;
}

std::string place_of(const GpuInfo& gpu) {
  // Containers of one machine may have names of their own, but it was booted once.
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string machine;
  std::getline(file, machine);
  return machine.empty() ? gpu.uuid : machine + " " + gpu.bus;
}

void use_device(int index) { check(cudaSetDevice(index), "choosing a GPU"); }

std::string library_versions() {
  int driver = 0;
  int runtime = 0;
  check(cudaDriverGetVersion(&driver), "asking for the driver's version");
  check(cudaRuntimeGetVersion(&runtime), "asking for the runtime's version");
  const std::string number = driver_version();
  const std::string known = number.empty() ? "driver of" : fmt::format("driver {},", number);
  return fmt::format("{} CUDA {}; runtime {}, cuDNN {}", known, version(driver), version(runtime),
                     cudnn_version(cudnnGetVersion()));
}

void expect_usable_cudnn() {
  constexpr std::size_t kWithoutHandle = 90800;  // graphs of operations that need no handle
  const std::size_t least = CUDNN_VERSION >= kWithoutHandle ? kWithoutHandle : 90000;
  const std::size_t found = cudnnGetVersion();
  if (found >= least) return;
  Dl_info place{};
  const bool known = dladdr(reinterpret_cast<const void*>(&cudnnGetVersion), &place) != 0;
  throw InvalidInput(fmt::format(
      "backend: cudnn was built with cuDNN {} and needs {} or newer, but {} is {}; let the loader "
      "find the one it was built with first (LD_LIBRARY_PATH)",
      cudnn_version(CUDNN_VERSION), cudnn_version(least),
      known && place.dli_fname != nullptr ? place.dli_fname : "the library that was loaded",
      cudnn_version(found)));
}

void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  const cudaError_t last = cudaGetLastError();  // an error that does not stay is cleared
  (void)last;
  const std::string message =
      fmt::format("GPU: {} failed: {} ({}, error {})", what, cudaGetErrorString(status),
                  cudaGetErrorName(status), static_cast<int>(status));
  if (status == cudaErrorMemoryAllocation) throw OutOfMemory(message);
  if (stays(status)) throw DeviceLost(message + ". Only a new process can use the GPU again");
  throw Error(message);
}

}  // namespace renas::cudnn
