// renas-bench: what the parts of RENAS do and how fast, in figures.
#include "bench/bench.h"
#include "cli/frame.h"

int main(int argc, char** argv) {
  CLI::App app{
      "Measures the parts of RENAS: how well strategies search and fitness ranks, how fast"
      " networks train, how fast images are loaded.",
      "renas-bench"};
  renas::cli::prepare(app);
  app.require_subcommand(1);
  add_cases_bench(app);
  add_data_bench(app);
#ifdef RENAS_WITH_HDF5
  add_fitness_bench(app);
#endif
  add_search_bench(app);
  add_threads_bench(app);
  add_train_bench(app);
#ifdef RENAS_WITH_HDF5
  add_coordinator_bench(app);
  add_endurance_bench(app);
#endif
#ifdef RENAS_WITH_ONEDNN
  add_kernels_bench(app);
#endif
  // The benchmarks run as callbacks of their subcommands.
  return renas::cli::run(app, argc, argv, [] { return renas::cli::kDone; });
}
