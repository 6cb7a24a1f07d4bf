#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <utility>

#include "renas/evaluation.h"
#include "renas/network.h"

namespace renas::cli {

/// Adds options to one group of --help, so that the group's name is spelt once.
class OptionGroup {
 public:
  OptionGroup(CLI::App& app, std::string name) : app_(app), name_(std::move(name)) {}

  /// Adds an option as CLI::App::add_option does.
  template <class... Arguments>
  CLI::Option* option(Arguments&&... arguments) {
    return app_.add_option(std::forward<Arguments>(arguments)...)->group(name_);
  }
  /// Adds a flag as CLI::App::add_flag does.
  template <class... Arguments>
  CLI::Option* flag(Arguments&&... arguments) {
    return app_.add_flag(std::forward<Arguments>(arguments)...)->group(name_);
  }
  /// Adds an option that `parse` takes as text.
  CLI::Option* text(const std::string& names, const std::function<void(const std::string&)>& parse,
                    const std::string& help) {
    return app_.add_option_function<std::string>(names, parse, help)->group(name_);
  }

 private:
  CLI::App& app_;
  std::string name_;
};

// Groups of options that several programs share. Each binds the options to a struct whose values
// are the defaults shown by --help; validity is checked on parsing.

/// --network, --cells, --filters, --stem, --concat-c2.
void add_network_options(CLI::App& app, NetworkOptions& network);
/// --worker-timeout, --max-attempts, --io-patience.
void add_rank_options(OptionGroup& group, double& worker_timeout, int& max_attempts,
                      double& io_patience, int& ranks_per_gpu);
/// --backend, --threads, --precision. `device.threads` 0 stands for all that the process may use.
void add_device_options(CLI::App& app, Device& device);

}  // namespace renas::cli
