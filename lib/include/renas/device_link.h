#pragma once

#include <cstddef>
#include <functional>
#include <string>

namespace renas {

/// What a rank says before ranks link their devices.
struct DeviceLinkOffer {
  std::string device;   ///< for people; empty: this backend has no devices
  std::string place;    ///< where the device is: equal for ranks that share it, on one machine only
  std::string library;  ///< what would link them, with its version
  std::string lacks;    ///< why this rank cannot be linked; empty: it can
};

/// The devices of several ranks that sum arrays among themselves, without the hosts between: NCCL.
/// Every rank makes the same calls in the same order.
class DeviceLink {
 public:
  /// Gives up sums that are not done, so that no stream waits for them.
  virtual ~DeviceLink() = default;
  /// Queues on `stream`, a CUDA stream of this rank's device, that `values` [size], in the device's
  /// memory, are replaced by their sum over all ranks, which has the same bits on all of them.
  /// Waits for the sum before, so that a host is never ahead by more than one. Throws as wait()
  /// does.
  virtual void sum(float* values, std::size_t size, void* stream) = 0;
  /// Returns when every sum is done. Throws Error or DeviceLost where that will not be, and passes
  /// on what `keep_waiting` throws (Backend::link_devices()); sums are given up then.
  virtual void wait() = 0;
  /// Ends the link in order, with all ranks; throws as wait() does.
  virtual void close() = 0;
};

}  // namespace renas
