#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <utility>
#include <vector>

#include "renas/search_run.h"

namespace renas::cli {

/// The command line of renas-search.
struct SearchSettings {
  SearchRunOptions run;
  std::string recipe;  ///< its name; empty: none
  std::string operators = "all";
  std::string space;            ///< a file; empty: by blocks and operators
  std::string initial_genomes;  ///< a file; empty: none
  std::string class_weights = "none";
  int retrain_epochs = 20;
  double retrain_rate = 0.05;
  int retrain_cutout = 0;
  bool additive_attention = false;
  bool learn_failures = false;
  bool learn_refusals = false;
  bool no_flip = false;
  bool quiet = false;
  bool plan = false;
  std::string replay;  ///< the folder of a run to do again; empty: none
  bool decisions_only = false;
  int ranks_per_gpu = 1;
};

/// Adds the options of renas-search to `app`, bound to `settings`.
void add_search_options(CLI::App& app, SearchSettings& settings);

/// Reads the options that a run was started with from its options.toml. Throws InvalidInput.
SearchSettings stored_settings(const std::string& run);

/// Options of a strategy that loads a snapshot of the run to be looked at, not to go on. Where size
/// is an objective all genomes have size 0: the images that networks are made for are not known.
StrategyOptions strategy_to_read(const SearchRunOptions& run);

/// All options of a run by their long names, with the values that it was started with.
std::vector<std::pair<std::string, std::string>> options_of_run(const std::string& run);
/// The command that repeats a run on `ranks` ranks: the options that are not at their defaults.
std::string command_of_run(const std::string& run, int ranks);

/// The settings of a run on --resume: its own options hold. Throws InvalidInput where an option
/// that is given again says otherwise, except for those that only change how the work is done or
/// shown.
SearchSettings settings_of_run(const CLI::App& given, const SearchSettings& from_command_line);

/// The settings of --replay: the options of that run hold, but for --data and --threads.
SearchSettings settings_to_replay(const CLI::App& given, const SearchSettings& from_command_line);

/// Converts the settings to the library's options of the search and of the retraining. What a run
/// keeps of its own, with --resume, is read from its folder. Throws InvalidInput, IoError.
SearchRunOptions run_options(const SearchSettings& settings);

}  // namespace renas::cli
