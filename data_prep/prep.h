#pragma once

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "renas/dataset.h"

namespace renas::prep {

/// Parses the command line and runs `work`. Returns the exit code: 0; 2 where the user can mend it
/// (options, InvalidInput); 1 otherwise. Messages go to standard error, as "renas-prep-X: ...".
int run(CLI::App& app, int argc, char** argv, const std::function<void()>& work);

/// One live line on standard error, rewritten in place on a terminal, else a line every 10 s.
class Progress {
 public:
  Progress(std::string what, int64_t total);
  ~Progress();
  void update(int64_t done);

 private:
  void show(int64_t done);
  using Clock = std::chrono::steady_clock;
  std::string what_;
  int64_t total_;
  int64_t shown_ = -1;
  bool terminal_;
  Clock::time_point begin_;
  Clock::time_point last_;
};

/// What a program says at the end, on standard output.
class Report {
 public:
  void count(const std::string& split, std::span<const int32_t> labels);
  void skip(const std::string& reason, const std::string& file);
  int64_t skipped() const;
  void print(const std::string& path, const DataSetInfo& info) const;

 private:
  struct Counts {
    std::string split;
    std::vector<int64_t> by_class;
  };
  std::vector<Counts> splits_;
  std::map<std::string, std::vector<std::string>> skipped_;
};

}  // namespace renas::prep
