#pragma once

#include <algorithm>
#include <cstddef>

#include "backend/cudnn/kernels/args.h"

namespace renas::cudnn {

/// How many slices of `pixels` pixels are summed apart, where a partial sum has `size` floats: so
/// many that the device is busy, so few that adding them up costs little. It depends on nothing but
/// the program, so that equal programs add in equal order.
inline int slices_for(std::size_t pixels, std::size_t size) {
  constexpr std::size_t kPixels = 256;                   // a slice has at least as many
  constexpr std::size_t kFloats = std::size_t{4} << 20;  // all partial sums together
  const std::size_t by_memory = std::max<std::size_t>(1, kFloats / std::max<std::size_t>(1, size));
  const std::size_t by_pixels = std::max<std::size_t>(1, pixels / kPixels);
  return static_cast<int>(std::min({static_cast<std::size_t>(kSlices), by_memory, by_pixels}));
}

}  // namespace renas::cudnn
