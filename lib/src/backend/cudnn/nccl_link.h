#pragma once

#include <functional>
#include <memory>
#include <string>

#include "backend/cudnn/nccl_library.h"
#include "renas/device_link.h"

namespace renas::cudnn {

/// "NCCL 2.28.9". Where it is none that can be used, sets `lacks` to a sentence that says why.
std::string nccl_version(const Nccl& nccl, std::string& lacks);

/// An id that one rank makes for all. Throws Error.
std::string nccl_id(const Nccl& nccl);

/// See Backend::link_devices(). A communicator of NCCL that does not block: each of its waits asks
/// for errors of other ranks, and whether to go on. Ranks that do not come within `patience`
/// seconds are waited for no longer.
std::unique_ptr<DeviceLink> link_by_nccl(const Nccl& nccl, int device, const std::string& id,
                                         int rank, int ranks, std::function<void()> keep_waiting,
                                         double patience = 300);

}  // namespace renas::cudnn
