#pragma once

#include <CLI/CLI.hpp>
#include <atomic>
#include <functional>
#include <string>

namespace renas::cli {

/// Exit codes of every program.
inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;   ///< a fault of the machine or of the program
inline constexpr int kMistake = 2;  ///< something the user can correct: options, files, disk space
inline constexpr int kStopped = 3;  ///< stopped by a signal before the end; --resume goes on

/// Adds what all programs' command lines share: --version, --config, and the look of --help.
void prepare(CLI::App& app);

/// Runs `work`, which returns an exit code. Errors, those of CLI11 among them, become one message
/// on standard error that begins with `name`, and an exit code.
int guarded(const CLI::App& app, const std::string& name, const std::function<int()>& work);
/// Throws InvalidInput where a number that was given is not finite, or is too large or negative
/// where only larger ones make sense: CLI11 takes `nan` for a number in any range and -1 for 2^64
/// - 1.
void check_numbers(const CLI::App& app);
/// Parses the command line and the file of --config. What is wrong in the file is named with file,
/// line and key.
void parse(CLI::App& app, int argc, char** argv);
/// Parses `text`, the options that `file` holds from its line `first_line` on, which another call
/// of the program wrote. Throws InvalidInput.
void parse_stored(CLI::App& app, const std::string& text, const std::string& file, int first_line);
/// Parses the command line, then runs `work`, guarded.
int run(CLI::App& app, int argc, char** argv, const std::function<int()>& work);

/// Writes to standard error; a terminal that is gone or a full disk is not a reason to stop.
void say(const std::string& text);

/// The value of an option as text, for comparisons: numbers in one spelling, files by absolute
/// path.
std::string value_text(const CLI::Option& option);

/// A validator that replaces a path by its absolute form, which holds in another folder too.
CLI::Validator absolute_path();

/// Returns a flag that SIGINT, SIGTERM, SIGHUP and SIGUSR1 set from now on, instead of ending the
/// process. A second SIGINT ends it at once.
const std::atomic<bool>& stop_on_signals();
/// Returns a flag that a first SIGUSR1 sets from now on; only a second one then sets that of
/// stop_on_signals(). Call it after that.
const std::atomic<bool>& drain_on_signal();

}  // namespace renas::cli
