#include <fmt/format.h>
#include <fmt/ranges.h>

#include "backend/reference/program.h"
#include "renas/backend.h"
#include "renas/error.h"
#ifdef RENAS_WITH_ONEDNN
#include "backend/cpu/backend.h"
#endif
#ifdef RENAS_WITH_CUDNN
#include "backend/cudnn/backend.h"
#include "backend/cudnn/device.h"
#endif

namespace renas {

// Plain ifs: an object that registers itself while it is constructed disappears from a static
// library, since nothing refers to it.
std::vector<std::string> backend_names() {
  std::vector<std::string> names;
#ifdef RENAS_WITH_CUDNN
  if (cudnn::gpu_is_there()) names.push_back("cudnn");
#endif
#ifdef RENAS_WITH_ONEDNN
  names.push_back("cpu");
#endif
  names.push_back("reference");
  return names;
}

const char* to_string(Precision precision) {
  return precision == Precision::kBfloat16 ? "bf16" : "f32";
}

Precision parse_precision(const std::string& text) {
  for (const Precision p : {Precision::kFloat32, Precision::kBfloat16}) {
    if (text == to_string(p)) return p;
  }
  throw InvalidInput(fmt::format("precision: expected f32 or bf16, got '{}'", text));
}

std::unique_ptr<Backend> make_backend(const Device& device) {
  const std::vector<std::string> names = backend_names();
  const std::string wanted = device.backend == "auto" ? names.front() : device.backend;
#ifdef RENAS_WITH_CUDNN
  if (wanted == "cudnn") return cudnn::make_cudnn(device.index);
#endif
  if (device.index > 0) {
    throw InvalidInput(
        fmt::format("backend: {} has one device, numbered 0; got {}", wanted, device.index));
  }
#ifdef RENAS_WITH_ONEDNN
  if (wanted == "cpu" || wanted == "onednn") return cpu::make_cpu();
#endif
  if (wanted == "reference") return reference::make_reference();
  throw InvalidInput(fmt::format("backend: this build has {} and 'auto', got '{}'",
                                 fmt::join(names, ", "), device.backend));
}

std::vector<DeviceInfo> list_devices(const std::string& backend) {
  std::vector<DeviceInfo> devices;
#ifdef RENAS_WITH_CUDNN
  if (backend == "auto" || backend == "cudnn") {
    for (const cudnn::GpuInfo& gpu : cudnn::list_gpus()) {
      devices.push_back({gpu.index, gpu.name, gpu.uuid});
    }
  }
#endif
  (void)backend;
  return devices;
}

}  // namespace renas
