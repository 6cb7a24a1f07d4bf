#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "cli/console.h"
#include "renas/dataset.h"

namespace renas::prep {

/// The progress of a long preparation, shown on the console's live line.
class Progress {
 public:
  /// `what` names the things that are counted, in the plural: "images".
  Progress(std::string what, int64_t total);
  void update(int64_t done);

 private:
  using Clock = std::chrono::steady_clock;
  cli::Console console_;
  std::string what_;
  int64_t total_;
  Clock::time_point begin_;
  Clock::time_point last_;
};

/// The summary that a preparing program prints at its end, on standard output.
class Report {
 public:
  void count(const std::string& split, std::span<const int32_t> labels);
  void skip(const std::string& reason, const std::string& what);
  /// Adds a line that is printed at the end.
  void note(const std::string& text) { notes_.push_back(text); }
  void print(const std::string& path, const DataSetInfo& info) const;
  /// Everything that was left out, a line "REASON<tab>WHAT" each.
  std::string left_out() const;

 private:
  struct Counts {
    std::string split;
    std::vector<int64_t> by_class;
  };
  std::vector<Counts> splits_;
  std::map<std::string, std::vector<std::string>> skipped_;
  std::vector<std::string> notes_;
};

/// The names of classes, by label, as UTF-8, as files of the format have them; `report` says which
/// were not. Throws InvalidInput, which begins with `where` they are from, where two are equal.
std::vector<std::string> class_names(std::vector<std::string> names, const std::string& where,
                                     Report& report);

}  // namespace renas::prep
