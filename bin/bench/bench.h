#pragma once

namespace CLI {
class App;
}

// The subcommands of renas-bench, one file each (NAME.cpp). Each adds itself to the program
// with its options and its callback; what a callback throws ends the program with a message.
void add_cases_bench(CLI::App& app);
void add_data_bench(CLI::App& app);
void add_search_bench(CLI::App& app);
void add_threads_bench(CLI::App& app);
void add_train_bench(CLI::App& app);
#ifdef RENAS_WITH_HDF5
void add_coordinator_bench(CLI::App& app);
void add_endurance_bench(CLI::App& app);
void add_fitness_bench(CLI::App& app);
#endif
#ifdef RENAS_WITH_ONEDNN
void add_kernels_bench(CLI::App& app);
#endif
