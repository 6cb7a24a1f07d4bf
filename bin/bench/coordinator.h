#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "renas/search_run.h"
#include "renas/transport.h"

namespace renas::bench {

struct CoordinatorOptions {
  std::vector<int> ranks{64, 256, 1024, 4096, 16384};
  bool real = false;
  double child = 60;    ///< seconds, in the mean
  double spread = 0.5;  ///< sigma of the log-normal distribution of these
  double seconds = 30;  ///< to measure
  std::string folder = "coordinator-bench";
  SearchRunOptions run;
};

/// What was measured once every rank had work.
struct Measured {
  double start_seconds = 0;  ///< until every rank had its first candidate
  double seconds = 0;
  int results = 0;
  double busy = 0;          ///< rank-seconds of work
  double processor = 0;     ///< seconds of the coordinator's thread
  double longest_wait = 0;  ///< of a rank, from its result to its next task, in seconds
};

/// Adds --folder, --strategy, --population and --snapshot-seconds.
void add_run_options(CLI::App& app, std::string& folder, SearchRunOptions& run);

/// Processor seconds of the calling thread.
double thread_seconds();
/// What a child of this genome is told with.
double made_up_fitness(const std::string& genome);

/// The worker of a real rank that sleeps in place of training. Returns once it was told to stop.
void sleep_as_worker(Transport& transport, const CoordinatorOptions& options);
/// The coordinator of the run of `run`, with the sleeping workers of all ranks of `transport`. Rank
/// 0 calls it; the others call sleep_as_worker().
Measured measure_real_ranks(const CoordinatorOptions& options, const SearchRunOptions& run,
                            Transport& transport);

}  // namespace renas::bench
