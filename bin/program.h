#pragma once

#include <CLI/CLI.hpp>
#include <atomic>
#include <functional>
#include <string>

namespace renas::program {

/// Exit codes of every program.
inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;   ///< a fault of the machine or of the program
inline constexpr int kMistake = 2;  ///< something the user can mend: options, files, disk space
inline constexpr int kStopped = 3;  ///< stopped by a signal before the end; --resume goes on

/// What all programs' command lines share: --version, --config, and the look of --help.
void prepare(CLI::App& app);

/// Parses the command line and runs `work`, which returns an exit code. Errors become one message
/// on standard error and an exit code; with `quiet` (ranks other than 0) only the code.
int run(CLI::App& app, int argc, char** argv, bool quiet, const std::function<int()>& work);

/// Set by SIGINT, SIGTERM and SIGUSR1 from now on, instead of ending the process; a second SIGINT
/// ends it.
const std::atomic<bool>& stop_on_signals();

/// Processor cores that this process may run on.
int available_cores();

}  // namespace renas::program
