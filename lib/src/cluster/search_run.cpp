#include "renas/search_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <thread>

#include "cluster/coordinator.h"
#include "cluster/worker.h"
#include "renas/error.h"
#include "renas/model.h"

namespace renas {

namespace {

/// Writes best.h5 and result.json, and reads the test set, once: for the winner and the controls.
void judge_on_test_set(const SearchRunOptions& options, SearchRunResult& result) {
  const RunDirectory run = RunDirectory::open(options.folder);
  if (const auto known = run.load_result()) {
    result = parse_result(*known);
    return;
  }
  const auto splits = DataSet::splits(options.data);
  const bool has_test = std::find(splits.begin(), splits.end(), "test") != splits.end();
  const std::unique_ptr<Backend> backend = make_backend(options.backend);
  std::optional<DataSet> test;
  if (has_test) test = DataSet::open(options.data, "test");
  for (RetrainedNetwork& network : result.networks) {
    const bool winner = network.name == result.winner;
    if (!winner && !network.name.starts_with(kControlPrefix)) continue;
    const Model model = load_model(run.retrained_file(network.name));
    if (winner) save_model(run.best_file(), model);
    if (!test) continue;
    network.test_accuracy =
        score_network(*backend, graph_of(model), model.weights, *test, all_indices(test->size()),
                      options.child.batch, options.final.threads, options.final.precision)
            .accuracy;
  }
  run.save_result(to_json(result));
}

}  // namespace

SearchRunResult run_search(const SearchRunOptions& options, Transport& transport,
                           const SearchRunHooks& hooks) {
  if (transport.rank() != 0) {
    run_worker(options, transport, hooks);
    return {};
  }
  std::unique_ptr<Coordinator> coordinator;
  try {
    make_backend(options.backend);  // an unknown name is refused before anything is made
    coordinator = std::make_unique<Coordinator>(make_setup(options), transport, hooks);
  } catch (...) {
    for (int r = 1; r < transport.ranks(); ++r) transport.send_to_worker(r, encode(Task{}));
    throw;
  }
  SearchRunResult result;
  std::exception_ptr failure;
  std::thread coordinating([&] {
    try {
      result = coordinator->run();
    } catch (...) {
      failure = std::current_exception();
    }
  });
  run_worker(options, transport, hooks);
  coordinating.join();
  if (failure) std::rethrow_exception(failure);
  if (result.finished) judge_on_test_set(options, result);
  return result;
}

}  // namespace renas
