#pragma once

#include <compare>
#include <cstddef>
#include <span>
#include <vector>

namespace renas::search {

/// A point in the plane of two objectives.
struct Tradeoff {
  double value = 0;  ///< more is better
  double size = 0;   ///< less is better
};

/// How good a point is among others: the less, the better.
struct Standing {
  /// 0: no point is better in one objective and as good in the other; n: none is, without the
  /// points of the fronts before.
  std::size_t front = 0;
  /// Minus the crowding distance: half the circumference of the rectangle between the neighbours on
  /// the point's front, each side as a share of the front's extent; infinite at a front's ends.
  double crowding = 0;
  auto operator<=>(const Standing&) const = default;
};

/// The standing of every point by NSGA-II (Deb et al., IEEE Transactions on Evolutionary
/// Computation 6(2), 2002, sections III-A and III-B). Equal points are on one front. Takes O(n^2).
std::vector<Standing> standings(std::span<const Tradeoff> points);

}  // namespace renas::search
