#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "backend/plan/plan.h"

namespace renas::plan {

/// The coefficients of one batch norm, [padded channels] each, with zeros in the padding; see
/// InputView and OutputMap. They are the backend's memory.
struct NormCoefficients {
  float* scale = nullptr;
  float* shift = nullptr;
  float* mean = nullptr;
  float* centre = nullptr;
  float* dy_scale = nullptr;
  float* x_scale = nullptr;
  float* offset = nullptr;
};

/// Turns what a plan says of maps into pointers, once the arena and the norms' coefficients are
/// there. Keeps a reference to the plan.
class Views {
 public:
  Views(const Plan& plan, float* arena, std::vector<NormCoefficients> norms)
      : plan_(plan), arena_(arena), norms_(std::move(norms)) {}

  /// The stored map itself.
  MapData map(int stored) const;
  /// The gradient of a value.
  MapData gradient(int value) const;
  /// A group's input.
  InputView input(const Part& part) const;
  /// A group's output.
  OutputMap output(int stored) const;
  const NormCoefficients& coefficients(int norm) const { return norms_[norm]; }
  /// The channels of the map that a part reads, unpadded.
  int channels(const Part& part) const;
  /// The index of the batch norm that reads the map next, or -1.
  int norm_of(int stored) const;

 private:
  const Plan& plan_;
  float* arena_;
  std::vector<NormCoefficients> norms_;
};

}  // namespace renas::plan
