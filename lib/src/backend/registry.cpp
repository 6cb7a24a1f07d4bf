#include <fmt/format.h>
#include <fmt/ranges.h>

#include <optional>
#include <string_view>
#include <utility>

#include "backend/check/backend.h"
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

std::string Backend::make_link_id() {
  throw Unsupported(fmt::format("backend {} links no devices", name()));
}

std::unique_ptr<DeviceLink> Backend::link_devices(const std::string&, int, int,
                                                  std::function<void()>) {
  throw Unsupported(fmt::format("backend {} links no devices", name()));
}

std::string why_no_gpu() {
  std::string reason;
#ifdef RENAS_WITH_CUDNN
  if (cudnn::gpu_is_there(&reason)) reason.clear();
#endif
  return reason;
}

namespace {

constexpr std::string_view kCheck = "check:";

/// The two names of "check:SUBJECT,WITNESS"; nullopt where `name` is something else. Throws
/// InvalidInput where it begins so and has no two names.
std::optional<std::pair<std::string, std::string>> checked_pair(const std::string& name) {
  if (!name.starts_with(kCheck)) return std::nullopt;
  const std::string pair = name.substr(kCheck.size());
  const std::size_t comma = pair.find(',');
  if (comma == 0 || comma == std::string::npos || comma + 1 == pair.size()) {
    throw InvalidInput(fmt::format(
        "backend: expected check:SUBJECT,WITNESS, such as check:cudnn,cpu; got '{}'", name));
  }
  return std::pair(pair.substr(0, comma), pair.substr(comma + 1));
}

}  // namespace

std::unique_ptr<Backend> make_backend(const Device& device) {
  if (const auto pair = checked_pair(device.backend)) {
    Device subject = device;
    subject.backend = pair->first;
    Device witness = device;
    witness.backend = pair->second;
    if (list_devices(witness.backend).empty()) witness.index = -1;
    return check::make_check(make_backend(subject), make_backend(witness));
  }
  const std::vector<std::string> names = backend_names();
  const std::string wanted = device.backend == "auto" ? names.front() : device.backend;
#ifdef RENAS_WITH_CUDNN
  if (wanted == "cudnn") return cudnn::make_cudnn(device.index, device.streams, device.graphs);
#endif
  if (device.index > 0) {
    throw InvalidInput(
        fmt::format("backend: {} has one device, numbered 0; got {}", wanted, device.index));
  }
#ifdef RENAS_WITH_ONEDNN
  if (wanted == "cpu" || wanted == "onednn") return cpu::make_cpu();
#endif
  if (wanted == "reference") return reference::make_reference();
  throw InvalidInput(
      fmt::format("backend: this build has {}, 'auto' and 'check:SUBJECT,WITNESS', got '{}'",
                  fmt::join(names, ", "), device.backend));
}

std::vector<DeviceInfo> list_devices(const std::string& backend) {
  if (const auto pair = checked_pair(backend)) return list_devices(pair->first);
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
