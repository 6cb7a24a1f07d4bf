#include "cli/frame.h"

#include <fmt/format.h>
#ifdef RENAS_WITH_HDF5
#include <hdf5.h>
#endif

#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <new>
#include <sstream>
#include <system_error>

#include "cli/config.h"
#include "renas/error.h"

namespace renas::cli {

namespace {

std::atomic<bool> stop_requested{false};
std::atomic<bool> drain_requested{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler sets it");

void request_stop(int signal) {
  if (signal == SIGINT && stop_requested) {
    std::signal(SIGINT, SIG_DFL);
    std::raise(SIGINT);
  }
  stop_requested = true;
}

void request_drain(int) {
  if (drain_requested) stop_requested = true;
  drain_requested = true;
}

void handle_signal(int signal, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  sigaction(signal, &action, nullptr);
}

}  // namespace

void prepare(CLI::App& app) {
#ifdef RENAS_WITH_HDF5
  // Every file is closed where it is written, so HDF5 has nothing left to do at the end of the
  // process. Its exit handler would only print errors of its own for damaged files.
  H5dont_atexit();
#endif
  std::signal(SIGPIPE, SIG_IGN);  // a reader that is gone is not a reason to stop
  std::signal(SIGXFSZ, SIG_IGN);  // writing fails where a file may not grow, and says so
  app.set_version_flag("--version", std::string("renas " RENAS_VERSION));
  app.set_config("--config", "", "Read options from a TOML file: long names without the dashes")
      ->type_name("FILE");
  app.config_formatter(std::make_shared<ConfigReader>(app));
  app.allow_config_extras(CLI::config_extras_mode::error);
  app.get_formatter()->column_width(34);
  app.option_defaults()->always_capture_default();
}

namespace {

/// Whether the system has refused a thread, memory or one more open file.
bool is_limit(const std::error_code& code) {
  return code == std::errc::resource_unavailable_try_again ||
         code == std::errc::not_enough_memory || code == std::errc::too_many_files_open ||
         code == std::errc::too_many_files_open_in_system;
}

}  // namespace

int guarded(const CLI::App& app, const std::string& name, const std::function<int()>& work) {
  const auto complain = [&](const std::string& message) { say(name + ": " + message + "\n"); };
  try {
    const int code = work();
    // A result that could not be printed is a failure. A reader that has closed the pipe has seen
    // enough.
    if (std::fflush(stdout) != 0 && errno != EPIPE) {
      complain("cannot write to standard output: " + std::generic_category().message(errno));
      return kMistake;
    }
    return code;
  } catch (const CLI::Success& e) {  // --help, --version
    return app.exit(e);
  } catch (const CLI::ParseError& e) {
    complain(fmt::format("{}\nRun {} --help for the options.", e.what(), app.get_name()));
    return kMistake;
  } catch (const InvalidInput& e) {
    complain(e.what());
    return kMistake;
  } catch (const IoError& e) {
    complain(e.what());
    return kMistake;
  } catch (const std::filesystem::filesystem_error& e) {
    complain(fmt::format("{}: {}", e.path1().string(), e.code().message()));
    return kMistake;
  } catch (const std::system_error& e) {
    if (e.code() == std::errc::broken_pipe) return kDone;
    if (!is_limit(e.code())) {
      complain(e.what());
      return kMistake;
    }
    complain(fmt::format(
        "the system refuses: {}. Threads, memory or files may be limited (ulimit -a)", e.what()));
    return kFailed;
  } catch (const std::bad_alloc&) {
    complain("this machine has no memory left for it");
    return kFailed;
  } catch (const std::exception& e) {
    complain(e.what());
    return kFailed;
  }
}

int run(CLI::App& app, int argc, char** argv, const std::function<int()>& work) {
  return guarded(app, app.get_name(), [&] {
    parse(app, argc, argv);
    return work();
  });
}

namespace {

/// Calls `parse`; what is wrong in a file of options is named with its line.
void located(const CLI::App& app, const std::function<void()>& parse) {
  const auto reader = std::dynamic_pointer_cast<ConfigReader>(app.get_config_formatter());
  const auto place_of = [&](const std::string& message) {
    return reader ? reader->place_of(message) : std::string();
  };
  try {
    parse();
    for (const CLI::App* chosen : app.get_subcommands()) check_numbers(*chosen);
    check_numbers(app);
  } catch (const CLI::Success&) {  // --help, --version
    throw;
  } catch (const CLI::ParseError& e) {
    const std::string place = place_of(e.what());
    if (place.empty()) throw;
    throw InvalidInput(place + e.what());
  } catch (const InvalidInput& e) {
    throw InvalidInput(place_of(e.what()) + e.what());
  }
}

}  // namespace

void parse(CLI::App& app, int argc, char** argv) {
  located(app, [&] { app.parse(argc, argv); });
}

void parse_stored(CLI::App& app, const std::string& text, const std::string& file, int first_line) {
  if (const auto reader = std::dynamic_pointer_cast<ConfigReader>(app.get_config_formatter())) {
    reader->reads(file, first_line);
  }
  std::istringstream stream(text);
  try {
    located(app, [&] { app.parse_from_stream(stream); });
  } catch (const CLI::Error& e) {
    throw InvalidInput(fmt::format("{}: {}", file, e.what()));
  }
}

void check_numbers(const CLI::App& app) {
  for (const CLI::Option* option : app.get_options()) {
    const std::string type = option->get_type_name();
    const bool real = type.starts_with("FLOAT");
    const bool natural = type.starts_with("UINT");
    if (!real && !natural) continue;
    for (const std::string& text : option->results()) {
      char* end = nullptr;
      errno = 0;
      const double number = std::strtod(text.c_str(), &end);
      if (end == text.c_str()) continue;  // CLI11 has seen to it, or it is an empty default
      if (real && std::isfinite(number)) continue;
      if (natural && number >= 0 && number < 18446744073709551616.0) continue;
      throw InvalidInput(
          fmt::format("{} {}: expected {}", option->get_name(), text,
                      real ? "a finite number" : "a whole number from 0 to 2^64 - 1"));
    }
  }
}

void say(const std::string& text) {
  if (std::fputs(text.c_str(), stderr) < 0) std::clearerr(stderr);
}

std::string value_text(const CLI::Option& option) {
  if (option.get_type_size() == 0) return std::to_string(option.count());  // a flag
  if (option.count() == 0) return option.get_default_str();
  std::string text;
  for (const std::string& part : option.reduced_results()) {
    char* end = nullptr;
    const double number = std::strtod(part.c_str(), &end);
    const bool numeric = !part.empty() && end == part.c_str() + part.size();
    text += (text.empty() ? "" : ",") + (numeric ? fmt::format("{}", number) : part);
  }
  return text;
}

CLI::Validator absolute_path() {
  CLI::Validator validator(
      [](std::string& path) {
        if (!path.empty()) path = std::filesystem::absolute(path).lexically_normal().string();
        return std::string();
      },
      "FILE", "absolute path");
  return validator;
}

const std::atomic<bool>& stop_on_signals() {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) handle_signal(signal, request_stop);
  return stop_requested;
}

const std::atomic<bool>& drain_on_signal() {
  handle_signal(SIGUSR1, request_drain);
  return drain_requested;
}

}  // namespace renas::cli
