#pragma once

#include <cmath>
#include <numbers>

namespace renas::search {

/// The quantile of the standard normal distribution at p in (0, 1), with an error of at most 2e-3.
/// Uses Winitzki's approximation (2008) of the inverse error function.
inline double normal_quantile(double p) {
  constexpr double kA = 0.147;
  const double x = 2 * p - 1;
  const double log = std::log(1 - x * x);
  const double half = 2 / (std::numbers::pi * kA) + log / 2;
  const double inverse = std::sqrt(std::sqrt(half * half - log / kA) - half);
  return std::numbers::sqrt2 * (x < 0 ? -inverse : inverse);
}

}  // namespace renas::search
