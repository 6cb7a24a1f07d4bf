#pragma once

#include "renas/search_plan.h"

namespace renas::cli {

/// Prints a plan for people.
void print_plan(const SearchPlan& plan, const SearchRunOptions& options);

}  // namespace renas::cli
