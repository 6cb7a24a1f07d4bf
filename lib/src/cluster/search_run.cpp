#include "renas/search_run.h"

#include <fmt/format.h>

#include <algorithm>

#include "cluster/ranks.h"
#include "cluster/retrain_id.h"
#include "cluster/retraining.h"
#include "cluster/retry.h"
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
                             x.validation_accuracy == y.validation_accuracy &&
                             x.validation_balanced_accuracy == y.validation_balanced_accuracy;
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
  const auto stop = [&hooks] {
    return (hooks.stop != nullptr && *hooks.stop) || (hooks.drain != nullptr && *hooks.drain);
  };
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
    const Score score =
        score_network(backend, graph_of(model), model.weights, *test, all_indices(test->size()),
                      {.batch = options.child.batch,
                       .device = options.final.device,
                       .training = Augmentation::none(),
                       .stop = stop});
    network.test_accuracy = score.accuracy;
    network.test_balanced_accuracy = score.balanced_accuracy;
    if (stop()) {
      result.finished = false;
      return;
    }
  }
  patiently([&] { run.save_result(result); });
}

SearchRunResult coordinate(const SearchRunOptions& options, Transport& transport,
                           const SearchRunHooks& hooks) {
  FirstRank first;
  const auto prepare = [&](FirstRank& rank) {
    // Made before anything else is: an unknown name leaves no folder behind.
    rank.backend = make_backend(options.child.device);
    rank.setup = make_setup(options);
    open_test_set(options.data, rank.setup->search.images, 0);  // throws now, not at the end
    auto journal = std::make_unique<SearchJournal>(*rank.setup, transport.ranks(), hooks.log);
    rank.queue = std::make_unique<WorkQueue>(*rank.setup, std::move(journal), hooks.log);
  };
  run_first_rank(first, prepare, transport, hooks);
  SearchRunResult result;
  if (first.queue->is_done()) {
    result = dynamic_cast<const Retraining&>(*first.queue->networks()).result();
  }
  result.silent_ranks = first.silent_ranks;
  if (result.finished) judge_on_test_set(*first.backend, options, hooks, result);
  return result;
}

}  // namespace

SearchRunResult run_search(const SearchRunOptions& given, Transport& transport,
                           const SearchRunHooks& hooks) {
  SearchRunOptions options = given;
  options.child.device.index = options.final.device.index = hooks.device_index;
  if (transport.rank() == 0) return coordinate(options, transport, hooks);
  SearchRunResult result;
  result.silent_ranks = run_other_rank(
      options, [&] { return make_setup(options); }, transport, hooks);
  return result;
}

}  // namespace renas
