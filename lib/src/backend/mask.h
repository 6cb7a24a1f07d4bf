#pragma once

#include <cstdint>

#include "core/philox.h"

namespace renas {

/// The factor by which a dropout or drop-path node multiplies element `element` in training:
/// 0 with `probability`, else 1 / (1 - probability); the expectation is 1. `node` is the node's
/// index in the graph given to compile(); `element` is image * C * H * W + its NCHW place for
/// dropout, the image for drop path. All backends call this function, so that they drop the same
/// elements.
RENAS_HOST_DEVICE inline float mask_factor(uint64_t seed, uint64_t step, int node, uint64_t element,
                                           float probability) {
  uint32_t bits[4] = {static_cast<uint32_t>(element), static_cast<uint32_t>(element >> 32),
                      static_cast<uint32_t>(step), static_cast<uint32_t>(node)};
  philox_in_place(bits, static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32));
  // 24 bits are exact in float, so the comparison has one meaning everywhere.
  const float uniform = static_cast<float>(bits[0] >> 8) * 0x1.0p-24F;
  return uniform < probability ? 0.0F : 1.0F / (1.0F - probability);
}

}  // namespace renas
