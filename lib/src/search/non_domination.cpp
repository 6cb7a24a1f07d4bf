#include "search/non_domination.h"

#include <algorithm>
#include <limits>

namespace renas::search {

namespace {

bool dominates(const Tradeoff& a, const Tradeoff& b) {
  return a.value >= b.value && a.size <= b.size && (a.value > b.value || a.size < b.size);
}

/// Sets the crowding of the points of one front.
void crowd(std::span<const Tradeoff> points, std::vector<std::size_t> front,
           std::vector<Standing>& standings) {
  // Along a front, the points that are larger are better too: one order serves both objectives.
  std::stable_sort(front.begin(), front.end(),
                   [&](std::size_t a, std::size_t b) { return points[a].size < points[b].size; });
  const Tradeoff& first = points[front.front()];
  const Tradeoff& last = points[front.back()];
  const auto share = [](double part, double whole) { return whole > 0 ? part / whole : 0; };
  for (std::size_t i = 0; i < front.size(); ++i) {
    double& crowding = standings[front[i]].crowding;
    if (i == 0 || i + 1 == front.size()) {
      crowding = -std::numeric_limits<double>::infinity();
      continue;
    }
    const Tradeoff& before = points[front[i - 1]];
    const Tradeoff& after = points[front[i + 1]];
    crowding = -share(after.size - before.size, last.size - first.size) -
               share(after.value - before.value, last.value - first.value);
  }
}

}  // namespace

std::vector<Standing> standings(std::span<const Tradeoff> points) {
  std::vector<Standing> standings(points.size());
  std::vector<std::size_t> left(points.size());
  for (std::size_t i = 0; i < points.size(); ++i) {
    left[i] = i;
  }
  for (std::size_t number = 0; !left.empty(); ++number) {
    std::vector<std::size_t> front;
    std::vector<std::size_t> behind;
    for (const std::size_t i : left) {
      const bool dominated = std::any_of(left.begin(), left.end(), [&](std::size_t other) {
        return dominates(points[other], points[i]);
      });
      standings[i].front = number;
      (dominated ? behind : front).push_back(i);
    }
    crowd(points, std::move(front), standings);
    left = std::move(behind);
  }
  return standings;
}

}  // namespace renas::search
