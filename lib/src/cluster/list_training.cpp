#include "renas/list_training.h"

#include <fmt/format.h>

#include <memory>
#include <utility>

#include "cluster/cell_list.h"
#include "cluster/ranks.h"
#include "renas/error.h"
#include "renas/model.h"

namespace renas {
namespace {

using Kind = RunDirectory::Kind;

/// What the cluster's workers and coordinator know of a training, as a run without a search.
SearchRunOptions run_options(const ListTrainingOptions& o, const SearchRunHooks& hooks) {
  SearchRunOptions run;
  run.data = o.data;
  run.folder = o.folder;
  run.resume = o.resume;
  run.final = o.final;
  run.final.device.index = hooks.device_index;
  run.child.device = run.final.device;
  run.strategy.seed = o.seed;
  run.worker_timeout = o.worker_timeout;
  run.max_attempts = o.max_attempts;
  run.io_patience = o.io_patience;
  run.stop_grace = o.stop_grace;
  return run;
}

/// Reads the data and checks every cell against it: what is wrong is known before the first of them
/// is trained. Throws InvalidInput, IoError.
RunSetup make_list_setup(const ListTrainingOptions& o, const SearchRunHooks& hooks) {
  SearchRunOptions options = run_options(o, hooks);
  check_run_options(options);
  SearchData data = open_search_data(o.data, o.validation, o.subset, o.seed, o.validation_group);
  const int crop = options.final.augmentation.crop;
  if (crop == 0 && data.images.encoded()) {
    throw InvalidInput(fmt::format(
        "{}: its images are encoded and may vary in size; a crop says what to cut out of each",
        o.data));
  }
  NetworkOptions& network = options.final.network;
  network.image = data.images.shape();
  if (crop > 0) network.image.height = network.image.width = crop;
  network.classes = data.images.classes();
  if (o.balance_classes) network.class_weights = balanced_class_weights(data);
  if (o.genomes.empty()) throw InvalidInput("genomes: expected one cell or more, got none");
  for (std::size_t i = 0; i < o.genomes.size(); ++i) {
    try {
      const SearchSpace space = space_of(o.genomes[i]);
      build_network(space, parse_genome(space, o.genomes[i]), network);
    } catch (const InvalidInput& e) {
      throw InvalidInput(fmt::format("cell {}: {}", i + 1, e.what()));
    }
  }
  std::optional<DataSet> test = open_test_set(o.data, data.images, crop);
  std::string identity = identity_of(o.data, data.images);
  return {.options = std::move(options),
          .space = SearchSpace::renas(),
          .search = data,
          .final = data,
          .data_identity = std::move(identity),
          .test = std::move(test),
          .kind = Kind::kList};
}

std::string list_text(const std::vector<std::string>& genomes) {
  std::string text;
  for (const std::string& genome : genomes) text += genome + "\n";
  return text;
}

/// Looks before it locks, as a run's folder is opened.
std::unique_ptr<RunLock> lock_folder(const ListTrainingOptions& o) {
  if (o.resume) {
    RunDirectory::open(o.folder, Kind::kList);
  } else {
    RunDirectory::check_unused(o.folder);
  }
  return std::make_unique<RunLock>(o.folder);
}

RunDirectory open_folder(const ListTrainingOptions& o, const std::string& identity) {
  if (!o.resume) {
    RunDirectory run = RunDirectory::create(o.folder, o.stored_options,
                                            {{"cells", list_text(o.genomes)}}, Kind::kList);
    run.mark_data(identity);
    return run;
  }
  RunDirectory run = RunDirectory::open(o.folder, Kind::kList);
  if (run.input("cells").value_or("") != list_text(o.genomes)) {
    throw InvalidInput(
        fmt::format("{}/cells: the folder was begun with another list. Go on with that one, or "
                    "name another folder.",
                    run.path()));
  }
  const std::optional<std::string> then = run.data();
  if (!then) run.mark_data(identity);
  if (then && *then != identity) {
    throw InvalidInput(
        fmt::format("{}: expected the data set that {} was begun with ({}), found another ({})",
                    o.data, run.path(), *then, identity));
  }
  run.prepare_to_resume();
  return run;
}

ListTrainingResult coordinate(const ListTrainingOptions& o, Transport& transport,
                              const SearchRunHooks& hooks) {
  std::unique_ptr<RunLock> lock;
  FirstRank first;
  const auto prepare = [&](FirstRank& rank) {
    rank.backend = make_backend(o.final.device);
    rank.setup = make_list_setup(o, hooks);
    lock = lock_folder(o);
    const RunDirectory run = open_folder(o, rank.setup->data_identity);
    auto cells = std::make_unique<CellList>(o, run, hooks.log);
    rank.queue = std::make_unique<WorkQueue>(*rank.setup, run, std::move(cells), hooks.log);
  };
  run_first_rank(first, prepare, transport, hooks);
  ListTrainingResult result;
  result.finished = first.queue->is_done();
  result.cells = dynamic_cast<const CellList&>(*first.queue->networks()).results();
  result.silent_ranks = first.silent_ranks;
  return result;
}

}  // namespace

ListTrainingResult train_list(const ListTrainingOptions& options, Transport& transport,
                              const SearchRunHooks& hooks) {
  if (transport.rank() == 0) return coordinate(options, transport, hooks);
  ListTrainingResult result;
  result.silent_ranks = run_other_rank(
      run_options(options, hooks), [&] { return make_list_setup(options, hooks); }, transport,
      hooks);
  return result;
}

}  // namespace renas
