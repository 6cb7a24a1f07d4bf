#pragma once

#include <memory>
#include <vector>

#include "backend/cpu/fused_group.h"

namespace renas::cpu {

/// The planner's options for this engine: its channel block, and which of its kernels take the sums
/// of batch norms.
plan::PlanOptions plan_options(const ProgramOptions& options);

/// Turns each group of the plan into a fused group, with its pointers in place except packed
/// weights.
std::vector<std::unique_ptr<FusedGroup>> lower(const Lowering& lowering);

}  // namespace renas::cpu
