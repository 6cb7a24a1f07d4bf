#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "renas/search_run.h"

namespace renas::cli {

/// Everything on the command line of renas-search.
struct SearchSettings {
  SearchRunOptions run;
  std::string operators = "all";
  int retrain_epochs = 20;
  double retrain_rate = 0.05;
  int retrain_cutout = 0;
  bool no_flip = false;
  bool quiet = false;
};

/// Binds the options of renas-search.
void add_search_options(CLI::App& app, SearchSettings& settings);

/// The options a run was started with, from its options.toml. Throws InvalidInput.
SearchSettings stored_settings(const std::string& run);

/// On --resume the run's own options hold; those given again must not say otherwise (InvalidInput),
/// but for how the work is spread and shown.
SearchSettings settings_of_run(const CLI::App& given, const SearchSettings& from_command_line);

/// What `settings` say of the search and of the retraining, in the library's terms.
SearchRunOptions run_options(const SearchSettings& settings);

}  // namespace renas::cli
