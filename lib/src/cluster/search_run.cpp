#include "renas/search_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <thread>

#include "cluster/coordinator.h"
#include "cluster/retrain_id.h"
#include "cluster/retry.h"
#include "cluster/worker.h"
#include "renas/error.h"
#include "renas/model.h"

namespace renas {

namespace {

/// Whether both are of the same trained networks.
bool same_networks(const RunResult& a, const RunResult& b) {
  return a.winner == b.winner &&
         std::equal(a.networks.begin(), a.networks.end(), b.networks.begin(), b.networks.end(),
                    [](const RetrainedNetwork& x, const RetrainedNetwork& y) {
                      return x.name == y.name && x.genome == y.genome &&
                             x.validation_accuracy == y.validation_accuracy;
                    });
}

/// The result that an earlier session wrote down of the networks of `now`; none where there is none
/// that can be read, or it is of others.
std::optional<RunResult> known_result(const RunDirectory& run, const RunResult& now,
                                      const Log& log) {
  try {
    std::optional<RunResult> known = run.load_result();
    if (!known || same_networks(*known, now)) return known;
    if (log) {
      log(LogLevel::kWarning, run.path() +
                                  "/result.json: it is of other networks than those trained "
                                  "now; judging these");
    }
    return std::nullopt;
  } catch (const Error& e) {
    if (log) log(LogLevel::kWarning, fmt::format("{}; judging the networks again", e.what()));
    return std::nullopt;
  }
}

/// Whether best.h5 is the winner's model.
bool best_is_there(const RunDirectory& run, const RunResult& result) {
  try {
    const std::string genome = load_model(run.best_file()).genome;
    return std::any_of(
        result.networks.begin(), result.networks.end(),
        [&](const RetrainedNetwork& n) { return n.name == result.winner && n.genome == genome; });
  } catch (const Error&) {
    return false;
  }
}

/// Writes best.h5 and result.json, and reads the test set, once: for the winner and the controls.
/// Asked to stop it leaves `result` unfinished.
void judge_on_test_set(Backend& backend, const SearchRunOptions& options,
                       const SearchRunHooks& hooks, SearchRunResult& result) {
  const Log& log = hooks.log;
  const auto stop = [&hooks] { return hooks.stop != nullptr && *hooks.stop; };
  const auto patiently = [&](const auto& work) {
    return retrying(
        work, options.io_patience,
        [&log](const IoError& e) {
          if (log) log(LogLevel::kWarning, fmt::format("{}; trying again", e.what()));
        },
        stop);
  };
  const RunDirectory run = RunDirectory::open(options.folder);
  if (const auto known = known_result(run, result, log)) {
    static_cast<RunResult&>(result) = *known;
    if (!best_is_there(run, result)) {
      const Model model = load_model(run.retrained_file(result.winner));
      patiently([&] { save_model(run.best_file(), model); });
      if (log) log(LogLevel::kWarning, run.best_file() + ": was gone or damaged; restored");
    }
    return;
  }
  const bool has_test = DataSet::has_split(options.data, "test");
  std::optional<DataSet> test;
  if (has_test) test = DataSet::open(options.data, "test");
  for (RetrainedNetwork& network : result.networks) {
    const bool winner = network.name == result.winner;
    const bool control = parse_retrain_id(network.name).kind == RetrainId::Kind::kControl;
    if (!winner && !control) continue;
    const Model model = patiently([&] { return load_model(run.retrained_file(network.name)); });
    if (winner) patiently([&] { save_model(run.best_file(), model); });
    if (!test) continue;
    network.test_accuracy =
        score_network(backend, graph_of(model), model.weights, *test, all_indices(test->size()),
                      {.batch = options.child.batch,
                       .device = options.final.device,
                       .training = Augmentation::none(),
                       .stop = stop})
            .accuracy;
    if (stop()) {
      result.finished = false;
      return;
    }
  }
  patiently([&] { run.save_result(result); });
}

/// What would otherwise only be seen at the end of a long search.
void check_test_set(const RunSetup& setup) {
  const SearchRunOptions& options = setup.options;
  if (!DataSet::has_split(options.data, "test")) return;
  const DataSet test = DataSet::open(options.data, "test");
  if (test.shape() != setup.search.images.shape() ||
      test.classes() != setup.search.images.classes()) {
    throw InvalidInput(
        fmt::format("{}: images of `test` are {} of {} classes, those of `train` {} of {}",
                    options.data, to_string(test.shape()), test.classes(),
                    to_string(setup.search.images.shape()), setup.search.images.classes()));
  }
}

void run_other_rank(const SearchRunOptions& options, Transport& transport,
                    const SearchRunHooks& hooks) {
  std::optional<RunSetup> setup;
  std::unique_ptr<Backend> backend;
  try {
    backend = make_backend(options.child.device);
    setup = make_setup(options);
  } catch (const std::exception& e) {
    report_failure(options, transport, e);
    return;
  }
  run_worker(*backend, *setup, transport, hooks);
}

void say_device(const Backend& backend, const Device& device, const Log& log) {
  if (!log) return;
  log(LogLevel::kInfo, fmt::format("backend: {}, {}", backend.description(),
                                   to_string(backend.precision(device.precision))));
  if (backend.precision(device.precision) != device.precision) {
    log(LogLevel::kWarning, fmt::format("backend {} has no {}; using float32", backend.name(),
                                        to_string(device.precision)));
  }
}

SearchRunResult run_first_rank(const SearchRunOptions& options, Transport& transport,
                               const SearchRunHooks& hooks) {
  std::unique_ptr<Backend> backend;
  std::optional<RunSetup> setup;
  std::unique_ptr<Coordinator> coordinator;
  try {
    // Made before anything else is: an unknown name leaves no folder behind.
    backend = make_backend(options.child.device);
    setup = make_setup(options);
    check_test_set(*setup);
    coordinator = std::make_unique<Coordinator>(*setup, transport, hooks);
    say_device(*backend, options.child.device, hooks.log);
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
    run_worker(*backend, *setup, transport, hooks);
  }
  if (failure) std::rethrow_exception(failure);
  if (result.finished) judge_on_test_set(*backend, options, hooks, result);
  return result;
}

}  // namespace

SearchRunResult run_search(const SearchRunOptions& given, Transport& transport,
                           const SearchRunHooks& hooks) {
  SearchRunOptions options = given;
  options.child.device.index = options.final.device.index = hooks.device_index;
  if (transport.rank() == 0) return run_first_rank(options, transport, hooks);
  SearchRunResult result;
  try {
    run_other_rank(options, transport, hooks);
  } catch (const CoordinatorLost& e) {
    if (hooks.log) hooks.log(LogLevel::kError, e.what());
    result.silent_ranks = 1;
    if (hooks.silent_ranks != nullptr) *hooks.silent_ranks = 1;
  }
  return result;
}

}  // namespace renas
