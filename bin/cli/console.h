#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <string>

#include "renas/log.h"

namespace spdlog {
class logger;
}

namespace renas::cli {

/// The messages of a long job on standard error, and one live progress line below them. Off a
/// terminal the line is printed every 30 s, and less often the longer the job runs, so that a
/// week's log stays a page. Any thread may call the functions.
class Console {
 public:
  /// Opens the console. Messages also go to `log_file`, unless that is empty; debug messages go
  /// only there. Throws IoError where the log cannot be opened.
  Console(const std::string& log_file, bool quiet);
  ~Console();

  /// The log function for the library, valid as long as the console.
  Log log();
  /// Replaces the live line.
  void progress(const std::string& line);
  /// Ends the live line, so that what follows stands on its own.
  void finish();

 private:
  void message(LogLevel level, std::string_view text);
  void clear_line();

  std::mutex mutex_;
  std::shared_ptr<spdlog::logger> file_;
  bool quiet_;
  bool terminal_;
  std::string line_;
  std::chrono::steady_clock::time_point last_print_;
  int prints_ = 0;
};

/// Formats a duration as "1 h 05 min", "3 min 20 s" or "12 s".
std::string duration_text(double seconds);

}  // namespace renas::cli
