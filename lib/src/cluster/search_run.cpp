#include "renas/search_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <thread>

#include "cluster/coordinator.h"
#include "cluster/retrain_id.h"
#include "cluster/worker.h"
#include "renas/error.h"
#include "renas/model.h"

namespace renas {

namespace {

/// The result that an earlier session wrote down; none where there is none that can be read.
std::optional<SearchRunResult> known_result(const RunDirectory& run, const Log& log) {
  try {
    if (const auto json = run.load_result()) return parse_result(*json);
    return std::nullopt;
  } catch (const Error& e) {
    if (log) log(LogLevel::kWarning, fmt::format("{}; judging the networks again", e.what()));
    return std::nullopt;
  }
}

/// Whether best.h5 is the winner's model.
bool best_is_there(const RunDirectory& run, const SearchRunResult& result) {
  try {
    const std::string genome = load_model(run.best_file()).genome;
    return std::any_of(result.networks.begin(), result.networks.end(),
                       [&](const RetrainedNetwork& n) {
                         return n.name == result.winner && n.genome == genome;
                       });
  } catch (const Error&) {
    return false;
  }
}

/// Writes best.h5 and result.json, and reads the test set, once: for the winner and the controls.
/// Asked to stop it leaves `result` unfinished.
void judge_on_test_set(const SearchRunOptions& options, const SearchRunHooks& hooks,
                       SearchRunResult& result) {
  const Log& log = hooks.log;
  const auto stop = [&hooks] { return hooks.stop != nullptr && *hooks.stop; };
  const RunDirectory run = RunDirectory::open(options.folder);
  if (const auto known = known_result(run, log)) {
    const int silent = result.silent_ranks;
    result = *known;
    result.silent_ranks = silent;
    if (!best_is_there(run, result)) {
      save_model(run.best_file(), load_model(run.retrained_file(result.winner)));
      if (log) log(LogLevel::kWarning, run.best_file() + ": was gone or damaged; restored");
    }
    return;
  }
  const auto splits = DataSet::splits(options.data);
  const bool has_test = std::find(splits.begin(), splits.end(), "test") != splits.end();
  const std::unique_ptr<Backend> backend = make_backend(options.backend);
  std::optional<DataSet> test;
  if (has_test) test = DataSet::open(options.data, "test");
  for (RetrainedNetwork& network : result.networks) {
    const bool winner = network.name == result.winner;
    const bool control = parse_retrain_id(network.name).kind == RetrainId::Kind::kControl;
    if (!winner && !control) continue;
    const Model model = load_model(run.retrained_file(network.name));
    if (winner) save_model(run.best_file(), model);
    if (!test) continue;
    network.test_accuracy =
        score_network(*backend, graph_of(model), model.weights, *test, all_indices(test->size()),
                      options.child.batch, options.final.threads, options.final.precision,
                      Augmentation::none(), stop)
            .accuracy;
    if (stop()) {
      result.finished = false;
      return;
    }
  }
  run.save_result(to_json(result));
}

/// What would otherwise only be seen at the end of a long search.
void check_test_set(const RunSetup& setup) {
  const SearchRunOptions& options = setup.options;
  const auto splits = DataSet::splits(options.data);
  if (std::find(splits.begin(), splits.end(), "test") == splits.end()) return;
  const DataSet test = DataSet::open(options.data, "test");
  if (test.shape() != setup.search.pictures.shape() ||
      test.classes() != setup.search.pictures.classes()) {
    throw InvalidInput(fmt::format(
        "{}: pictures of `test` are {} of {} classes, those of `train` {} of {}", options.data,
        to_string(test.shape()), test.classes(), to_string(setup.search.pictures.shape()),
        setup.search.pictures.classes()));
  }
}

void run_other_rank(const SearchRunOptions& options, Transport& transport,
                    const SearchRunHooks& hooks) {
  std::optional<RunSetup> setup;
  try {
    setup = make_setup(options);
  } catch (const std::exception& e) {
    report_failure(options, transport, e);
    return;
  }
  run_worker(*setup, transport, hooks);
}

}  // namespace

SearchRunResult run_search(const SearchRunOptions& options, Transport& transport,
                           const SearchRunHooks& hooks) {
  if (transport.rank() != 0) {
    try {
      run_other_rank(options, transport, hooks);
    } catch (const CoordinatorLost& e) {
      if (hooks.log) hooks.log(LogLevel::kError, e.what());
      SearchRunResult result;
      result.silent_ranks = 1;
      return result;
    }
    return {};
  }
  std::optional<RunSetup> setup;
  std::unique_ptr<Coordinator> coordinator;
  try {
    // Made before anything else is: an unknown name leaves no folder behind.
    const auto backend = make_backend(options.backend);
    setup = make_setup(options);
    check_test_set(*setup);
    coordinator = std::make_unique<Coordinator>(*setup, transport, hooks);
    if (hooks.log && backend->precision(options.child.precision) != options.child.precision) {
      hooks.log(LogLevel::kWarning, fmt::format("bf16 is not to be had from backend {}: float32",
                                                backend->name()));
    }
  } catch (...) {
    for (int r = 1; r < transport.ranks(); ++r) transport.send_to_worker(r, encode(Task{}));
    throw;
  }
  SearchRunResult result;
  std::exception_ptr failure;
  {
    const std::jthread coordinating([&] {
      try {
        result = coordinator->run();
      } catch (...) {
        failure = std::current_exception();
      }
    });
    run_worker(*setup, transport, hooks);
  }
  if (failure) std::rethrow_exception(failure);
  if (result.finished) judge_on_test_set(options, hooks, result);
  return result;
}

}  // namespace renas
