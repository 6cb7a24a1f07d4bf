#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "cli/ranks.h"

namespace renas::cli {

/// Runs a program on all ranks, or on none: calls `prepare` on each, which reads the options and
/// throws where they are wrong, and then `work`. A mistake is said once, by rank 0 if it has it.
/// Returns the exit code.
///
/// `work` sets its argument to the number of ranks that did not leave; where that is not 0, all
/// ranks are ended at once.
int run_on_ranks(const CLI::App& app, const Ranks& ranks, const std::function<void()>& prepare,
                 const std::function<int(int& silent_ranks)>& work);

}  // namespace renas::cli
