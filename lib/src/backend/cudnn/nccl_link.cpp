#include "backend/cudnn/nccl_link.h"

#include <fmt/format.h>

#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

#include "backend/cudnn/device.h"
#include "backend/cudnn/streams.h"
#include "renas/error.h"

namespace renas::cudnn {

namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kLook = std::chrono::microseconds(50);
constexpr auto kAskEvery = std::chrono::milliseconds(1);

/// Throws what `status` means.
[[noreturn]] void fail(const Nccl& nccl, ncclResult_t status, ncclComm_t communicator,
                       const std::string& what) {
  // What failed may be CUDA: the device may be lost, or have too little memory for NCCL.
  if (status == ncclUnhandledCudaError) check(cudaGetLastError(), "NCCL's work");
  const char* more = nccl.last_error(communicator);
  throw Error(
      fmt::format("NCCL: {} failed: {} (error {}){}{}. NCCL_DEBUG=INFO in the environment "
                  "tells more",
                  what, nccl.error_string(status), static_cast<int>(status),
                  more != nullptr && *more != '\0' ? ": " : "", more != nullptr ? more : ""));
}

class NcclLink final : public DeviceLink {
 public:
  NcclLink(const Nccl& nccl, int device, const std::string& id, int rank, int ranks,
           std::function<void()> keep_waiting, double patience)
      : nccl_(nccl),
        device_((use_device(device), device)),
        rank_(rank),
        ranks_(ranks),
        keep_waiting_(std::move(keep_waiting)) {
    ncclUniqueId unique;
    std::memcpy(&unique, id.data(), sizeof unique);
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    const Clock::time_point end = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                                     std::chrono::duration<double>(patience));
    try {
      settle(nccl_.init_rank(&communicator_, ranks, unique, rank, &config), "linking GPUs", [&] {
        if (Clock::now() < end) return;
        throw Error(fmt::format(
            "NCCL: linking GPUs failed: the other ranks did not come within {:.0f} s", patience));
      });
    } catch (...) {
      abort();
      throw;
    }
  }
  NcclLink(const NcclLink&) = delete;
  NcclLink& operator=(const NcclLink&) = delete;
  ~NcclLink() override { abort(); }

  void sum(float* values, std::size_t size, void* stream) override {
    guarded([&] {
      expect_open();
      auto* const on = static_cast<cudaStream_t>(stream);
      settle(nccl_.all_reduce(values, values, size, ncclFloat32, ncclSum, communicator_, on),
             "a sum among GPUs");
      Event& queued = done_[sums_ % 2];
      check(cudaEventRecord(queued.get(), on), "recording an event");
      if (sums_ > 0) wait_for(done_[(sums_ - 1) % 2]);
      ++sums_;
    });
  }

  void wait() override {
    guarded([&] {
      if (sums_ > 0) wait_for(done_[(sums_ - 1) % 2]);
    });
  }

  void close() override {
    wait();
    guarded([&] {
      expect_open();
      settle(nccl_.finalize(communicator_), "parting");
      const ncclResult_t status = nccl_.destroy(std::exchange(communicator_, nullptr));
      if (status != ncclSuccess) fail(nccl_, status, nullptr, "parting");
    });
  }

 private:
  /// Nothing may wait for sums of a link that failed.
  template <class Body>
  void guarded(const Body& body) {
    use_device(device_);
    try {
      body();
    } catch (...) {
      abort();
      throw;
    }
  }

  void expect_open() const {
    if (communicator_ == nullptr) throw Error("NCCL: a link between GPUs was closed or had failed");
  }

  /// Frees what waits for other ranks; the stream goes on, with numbers that are no sums.
  void abort() noexcept {
    if (communicator_ == nullptr) return;
    cudaSetDevice(device_);
    nccl_.abort(std::exchange(communicator_, nullptr));
  }

  /// Lets some time pass, in which the outside may end the wait.
  void rest() {
    const Clock::time_point now = Clock::now();
    if (now - asked_ > kAskEvery) {
      asked_ = now;
      keep_waiting_();
    }
    std::this_thread::sleep_for(kLook);
  }

  /// What NCCL thinks of its communicator. Throws unless it is well or still at work.
  ncclResult_t state(const std::string& what) const {
    ncclResult_t state = ncclSuccess;
    const ncclResult_t asked = nccl_.get_async_error(communicator_, &state);
    if (asked != ncclSuccess) state = asked;
    if (state == ncclSuccess || state == ncclInProgress) return state;
    fail(nccl_, state, communicator_, fmt::format("{} on rank {} of {}", what, rank_, ranks_));
  }

  /// Returns when a call of NCCL that returned `status` has done its part on the host.
  template <class Look>
  void settle(ncclResult_t status, const std::string& what, const Look& look) {
    if (status != ncclSuccess && status != ncclInProgress) {
      fail(nccl_, status, communicator_, what);
    }
    while (state(what) == ncclInProgress) {
      look();
      rest();
    }
  }
  void settle(ncclResult_t status, const std::string& what) {
    settle(status, what, [] {});
  }

  void wait_for(const Event& event) {
    for (;;) {
      const cudaError_t status = cudaEventQuery(event.get());
      if (status == cudaSuccess) return;
      if (status != cudaErrorNotReady) check(status, "waiting for a sum among GPUs");
      expect_open();
      state("a sum among GPUs");
      rest();
    }
  }

  const Nccl nccl_;
  const int device_;
  const int rank_;
  const int ranks_;
  const std::function<void()> keep_waiting_;
  ncclComm_t communicator_ = nullptr;
  Event done_[2];  ///< the last two sums, in turn
  std::size_t sums_ = 0;
  Clock::time_point asked_;
};

}  // namespace

std::string nccl_version(const Nccl& nccl, std::string& lacks) {
  int version = 0;
  if (nccl.get_version(&version) != ncclSuccess) {
    lacks = "NCCL does not tell its version";
    return "";
  }
  // 2.9 changed the way in which versions are numbered.
  const int major = version < 10000 ? version / 1000 : version / 10000;
  const int minor = version < 10000 ? version / 100 % 10 : version / 100 % 100;
  const std::string name = fmt::format("NCCL {}.{}.{}", major, minor, version % 100);
  if (version < 21400) lacks = fmt::format("{} is too old: 2.14 or newer is needed", name);
  return name;
}

std::string nccl_id(const Nccl& nccl) {
  ncclUniqueId id;
  const ncclResult_t status = nccl.get_unique_id(&id);
  if (status != ncclSuccess) fail(nccl, status, nullptr, "making an id");
  return {id.internal, sizeof id.internal};
}

std::unique_ptr<DeviceLink> link_by_nccl(const Nccl& nccl, int device, const std::string& id,
                                         int rank, int ranks, std::function<void()> keep_waiting,
                                         double patience) {
  return std::make_unique<NcclLink>(nccl, device, id, rank, ranks, std::move(keep_waiting),
                                    patience);
}

}  // namespace renas::cudnn
