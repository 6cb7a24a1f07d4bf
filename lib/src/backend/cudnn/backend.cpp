#include "backend/cudnn/backend.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "backend/cudnn/device.h"
#include "backend/cudnn/program.h"
#include "renas/error.h"
#ifdef RENAS_WITH_NCCL
#include "backend/cudnn/nccl_link.h"
#endif

namespace renas::cudnn {

namespace {

class CudnnBackend final : public Backend {
 public:
  /// `left_out` says which cards could not be taken, and why; empty: all can.
  CudnnBackend(const GpuInfo& device, std::string left_out, int streams, bool graphs)
      : device_(device),
        left_out_(std::move(left_out)),
        context_((use_device(device.index), std::make_shared<GpuContext>())) {
    context_->device = device.index;
    context_->graphs = graphs;
    context_->streams = streams;
    context_->tensor_cores = device.major >= 8;
    preload_kernels();
  }
  std::string name() const override { return "cudnn"; }
  std::string description() const override {
    return fmt::format("cudnn (GPU {}: {}, {} GiB, {}; {}{}{})", device_.index, device_.name,
                       device_.bytes >> 30, device_.uuid, library_versions(),
                       device_.compiles_kernels
                           ? "; its kernels are compiled when they are loaded, "
                             "since this build has none for it"
                           : "",
                       left_out_.empty() ? "" : "; left out: " + left_out_);
  }
  Precision precision(Precision wanted) const override { return wanted; }
  std::unique_ptr<Program> compile(const Graph& graph, const ProgramOptions& options) override {
    return std::make_unique<GpuProgram>(graph, options, context_);
  }
  MemoryEstimate estimate(const Graph& graph, const ProgramOptions& options) const override {
    return {GpuProgram::bytes(graph, options, context_->streams)};
  }
  DeviceLinkOffer device_link_offer() override {
    DeviceLinkOffer offer{device_.uuid, place_of(device_), "NCCL", ""};
#ifdef RENAS_WITH_NCCL
    if (!nccl_) nccl_ = open_nccl(nccl_lacks_);
    if (nccl_lacks_.empty()) offer.library = nccl_version(*nccl_, nccl_lacks_);
    offer.lacks = nccl_lacks_;
#else
    offer.lacks = "renas was built without NCCL";
#endif
    return offer;
  }
#ifdef RENAS_WITH_NCCL
  std::string make_link_id() override { return nccl_id(nccl_.value()); }
  std::unique_ptr<DeviceLink> link_devices(const std::string& id, int rank, int ranks,
                                           std::function<void()> keep_waiting) override {
    return link_by_nccl(nccl_.value(), device_.index, id, rank, ranks, std::move(keep_waiting));
  }
#endif

 private:
  const GpuInfo device_;
  const std::string left_out_;
  const std::shared_ptr<GpuContext> context_;
#ifdef RENAS_WITH_NCCL
  std::optional<Nccl> nccl_;  ///< opened where ranks ask for it
  std::string nccl_lacks_;
#endif
};

}  // namespace

std::unique_ptr<Backend> make_cudnn(int index, int streams, bool graphs) {
  constexpr int kStreams = 4;  // more shorten a step by a few per cent at most, counted in groups
  std::string reason;
  const std::vector<GpuInfo> devices = list_gpus(&reason);
  if (devices.empty()) {
    throw InvalidInput("backend: cudnn needs an NVIDIA GPU, and none can be used: " + reason);
  }
  expect_usable_cudnn();
  auto wanted = devices.begin();
  if (index >= 0) {
    wanted = std::find_if(devices.begin(), devices.end(),
                          [index](const GpuInfo& gpu) { return gpu.index == index; });
  }
  if (wanted == devices.end()) {
    std::vector<int> numbers;
    for (const GpuInfo& gpu : devices) numbers.push_back(gpu.index);
    throw InvalidInput(fmt::format("backend: GPUs that can be used have the numbers {}; got {}{}",
                                   fmt::join(numbers, ", "), index,
                                   reason.empty() ? "" : ". " + reason));
  }
  return std::make_unique<CudnnBackend>(*wanted, reason, streams > 0 ? streams : kStreams, graphs);
}

bool gpu_is_there(std::string* reason) { return !list_gpus(reason).empty(); }

}  // namespace renas::cudnn
