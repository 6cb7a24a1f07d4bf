#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "renas/controller.h"
#include "renas/run_directory.h"
#include "renas/search_space.h"

namespace renas {

/// What a report tells of a run: what its folder holds, and what its options say.
struct RunRecord {
  std::string name;                   ///< for people, such as the folder's
  std::vector<HistoryEntry> history;  ///< in the order of results
  uint64_t missing_lines = 0;         ///< of the history, which are damaged
  std::optional<RunResult> result;    ///< none: the run has not ended
  std::optional<SearchEnd> end;       ///< none: the search goes on
  std::string strategy;
  uint64_t seed = 0;
  uint64_t budget = 0;            ///< results that the search can have, P + E
  bool balanced = false;          ///< fitness is the balanced accuracy
  std::string data;               ///< the data set's file
  std::string data_identity;      ///< what it is, in words; may be empty
  int64_t validation_images = 0;  ///< 0: not known, so there is no interval
  int64_t test_images = 0;        ///< likewise
  SearchSpace space = SearchSpace::renas();
  std::optional<ControllerView> controller;  ///< none: the strategy has none, or no snapshot yet
  std::string command;                       ///< what repeats the run
  std::vector<std::pair<std::string, std::string>> options;  ///< all, by name
};

/// A page about one run, or about several beside each other: HTML in one piece, which needs neither
/// network nor scripts. Drawings of cells are there where the library was built with Graphviz.
std::string report_page(const std::vector<RunRecord>& runs);

/// Writes report_page(); the file appears whole or not at all. Throws IoError.
void write_report(const std::string& path, const std::vector<RunRecord>& runs);

}  // namespace renas
