#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
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
  /// Replaces the live line. On a terminal a bar stands before it, of which `share` (0 to 1) is
  /// full, and what does not fit into the terminal's width is cut off.
  void progress(const std::string& line, std::optional<double> share = std::nullopt);
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

/// A bar and a line behind it, in at most `width` characters: "[####......] line". Without a share,
/// or where there is little room, there is no bar.
std::string bar_and_line(std::optional<double> share, const std::string& line, int width);

/// Formats a duration as "1 h 05 min", "3 min 20 s" or "12 s".
std::string duration_text(double seconds);

}  // namespace renas::cli
