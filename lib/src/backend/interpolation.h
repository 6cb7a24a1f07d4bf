#pragma once

#include <algorithm>
#include <cmath>

/// Where a bilinear resize reads, the same in every backend.
namespace renas {

/// What an output row (or column) reads: (1 - weight) of row `first` and weight of row `second`.
struct LinearTap {
  int first = 0;
  int second = 0;
  double weight = 0;
};

/// The tap of output row `at` of `out` rows, over `in` rows; see NodeKind::kResize. With one output
/// row and aligned corners, it is the first row.
inline LinearTap linear_tap(int at, int out, int in, bool align_corners) {
  double place = 0;
  if (!align_corners) {
    place = (at + 0.5) * in / out - 0.5;
  } else if (out > 1) {
    place = static_cast<double>(at) * (in - 1) / (out - 1);
  }
  place = std::clamp(place, 0.0, in - 1.0);
  const int first = std::min(static_cast<int>(place), in - 1);
  return {first, std::min(first + 1, in - 1), place - first};
}

}  // namespace renas
