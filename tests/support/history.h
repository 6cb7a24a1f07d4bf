#pragma once

#include <string>

#include "renas/run_directory.h"

namespace renas::test {

/// A run's history without wall times and ranks.
inline std::string history_of(const std::string& run) {
  std::string text;
  for (HistoryEntry e : RunDirectory::open(run).history()) {
    e.seconds = 0;
    e.elapsed = 0;
    e.rank = 0;
    text += to_json(e) + "\n";
  }
  return text;
}

}  // namespace renas::test
