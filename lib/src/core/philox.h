#pragma once

#include <cstdint>

#include "core/host_device.h"

namespace renas {

/// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011) in place: ten
/// rounds on `counter` under the key (key0, key1). Runs on the host and in CUDA kernels.
RENAS_HOST_DEVICE inline void philox_in_place(uint32_t (&counter)[4], uint32_t key0,
                                              uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{0xD2511F53} * counter[0];
    const uint64_t product1 = uint64_t{0xCD9E8D57} * counter[2];
    const uint32_t low1 = static_cast<uint32_t>(product1);
    const uint32_t low0 = static_cast<uint32_t>(product0);
    counter[0] = static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key0;
    counter[1] = low1;
    counter[2] = static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key1;
    counter[3] = low0;
    key0 += 0x9E3779B9;
    key1 += 0xBB67AE85;
  }
}

}  // namespace renas
