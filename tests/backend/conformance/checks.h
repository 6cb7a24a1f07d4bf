#pragma once

#include <span>
#include <string>
#include <vector>

#include "renas/backend.h"

/// Comparisons with the reference, as Boost checks.
namespace conformance {

/// The error that float32 may have, as a part of a tensor's largest value.
inline constexpr double kTolerance = 5e-5;

/// Checks |found - expected| <= tolerance (|largest expected| + 0.1). A NaN fails.
void check_close(const std::string& what, std::span<const float> found,
                 std::span<const float> expected, double tolerance = kTolerance);
/// Checks every tensor of `expected` and that `found` has no others.
void check_close(const std::string& what, const renas::Weights& found,
                 const renas::Weights& expected, double tolerance = kTolerance);
void check_close(const renas::StepMetrics& found, const renas::StepMetrics& expected);

/// The scores [count, classes] of the staged batch.
std::vector<float> scores_of(renas::Program& program, const renas::Graph& graph);

}  // namespace conformance
