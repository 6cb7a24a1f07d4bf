#include "cli/console.h"

#include <fmt/format.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/spdlog.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "cli/frame.h"
#include "renas/error.h"

namespace renas::cli {

namespace {

constexpr auto kPrintEvery = std::chrono::seconds(30);
constexpr int kPrintsBeforeSlower = 120;

spdlog::level::level_enum level_of(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      break;
  }
  return spdlog::level::err;
}

/// The columns that a line may take without being wrapped.
int terminal_width() {
  winsize size{};
  const bool known = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return (known ? size.ws_col : 80) - 1;
}

}  // namespace

Console::Console(const std::string& log_file, bool quiet)
    : quiet_(quiet), terminal_(::isatty(STDERR_FILENO) == 1) {
  if (log_file.empty()) return;
  try {
    auto sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(log_file);
    file_ = std::make_shared<spdlog::logger>("renas", std::move(sink));
    file_->set_level(spdlog::level::debug);
    file_->flush_on(spdlog::level::info);
  } catch (const spdlog::spdlog_ex& e) {
    throw IoError(fmt::format("{}: cannot open the log: {}", log_file, e.what()));
  }
}

Console::~Console() { finish(); }

Log Console::log() {
  return [this](LogLevel level, std::string_view text) { message(level, text); };
}

void Console::clear_line() {
  if (terminal_ && !line_.empty()) say("\r\033[K");
}

void Console::message(LogLevel level, std::string_view text) {
  const std::lock_guard lock(mutex_);
  if (file_) file_->log(level_of(level), text);
  if (level == LogLevel::kDebug || (quiet_ && level == LogLevel::kInfo)) return;
  clear_line();
  say(fmt::format("{}{}\n", level >= LogLevel::kWarning ? "warning: " : "", text));
  if (terminal_ && !line_.empty()) say(line_);
}

void Console::progress(const std::string& line, std::optional<double> share) {
  const std::lock_guard lock(mutex_);
  if (quiet_) return;
  if (terminal_) {
    clear_line();
    line_ = bar_and_line(share, line, terminal_width());
    say(line_);
    return;
  }
  const auto now = std::chrono::steady_clock::now();
  const auto interval = kPrintEvery * (1 << std::min(prints_ / kPrintsBeforeSlower, 8));
  if (prints_ > 0 && now - last_print_ < interval) return;
  last_print_ = now;
  ++prints_;
  say(line + "\n");
}

void Console::finish() {
  const std::lock_guard lock(mutex_);
  clear_line();
  line_.clear();
}

std::string bar_and_line(std::optional<double> share, const std::string& line, int width) {
  constexpr int kLongest = 30;
  const int cells = std::min(kLongest, width - static_cast<int>(line.size()) - 3);
  if (!share || cells < 5) return line.substr(0, static_cast<std::size_t>(std::max(0, width)));
  const auto full = static_cast<std::size_t>(std::clamp(*share, 0.0, 1.0) * cells);
  return fmt::format("[{}{}] {}", std::string(full, '#'),
                     std::string(static_cast<std::size_t>(cells) - full, '.'), line);
}

std::string duration_text(double seconds) {
  const auto whole = std::lround(seconds);
  if (whole >= 3600) return fmt::format("{} h {:02} min", whole / 3600, whole / 60 % 60);
  if (whole >= 60) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} s", whole);
}

}  // namespace renas::cli
