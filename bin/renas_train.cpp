// renas-train trains the network of one genome from scratch, or those of a list over MPI ranks,
// with a checkpoint after each epoch.

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <string_view>

#include "cli/console.h"
#include "cli/environment.h"
#include "cli/frame.h"
#include "cli/lists.h"
#include "cli/ranks.h"
#include "cli/run_on_ranks.h"
#include "cli/train_settings.h"
#include "deeplab.h"
#include "renas/error.h"
#include "renas/list_training.h"
#include "renas/model.h"
#include "renas/run_directory.h"

using namespace renas;

namespace {

constexpr const char* kDescription =
    "Trains the network of one genome from scratch: SGD with momentum, cosine learning rate. "
    "Writes\n"
    "a checkpoint beside the model after every epoch; stopped or killed, the same command with\n"
    "--resume goes on. Prints the accuracy on held-out images and, once, on the test set.\n\n"
    "With --list it trains many cells in the same way, each from the same seed, over all ranks:\n"
    "  mpirun -np 4 renas-train --list cells.txt --data cifar10.h5 --out trained --epochs 100";

void print_score(const char* images, const Score& score) {
  fmt::print("{0} accuracy {1:.2f} %\n{0} balanced accuracy {2:.2f} %\n", images,
             100 * score.accuracy, 100 * score.balanced_accuracy);
}

/// Whether `out` is the model that an earlier session of this training finished.
bool finished_before(const std::string& out, const std::string& checkpoint,
                     const std::string& genome) {
  return !std::filesystem::exists(checkpoint) && std::filesystem::exists(out) &&
         load_model(out).genome == genome;
}

int train_network(const CLI::App& app, cli::TrainSettings& s) {
  const std::atomic<bool>& stop = cli::stop_on_signals();
  const std::string checkpoint = s.out + ".checkpoint";
  const SearchData data =
      open_search_data(s.data, s.validation, s.subset, s.seed, s.validation_group);
  const SearchSpace space = space_of(s.genome);
  const Genome genome = parse_genome(space, s.genome);
  const std::string text = to_string(space, genome);

  FinalOptions f = cli::final_options(s);
  f.network.image = data.images.shape();
  if (s.crop > 0) f.network.image.height = f.network.image.width = s.crop;
  if (s.crop == 0 && data.images.encoded()) {
    throw InvalidInput(fmt::format(
        "{}: its images are encoded and may vary in size; --crop says what to cut out of each "
        "(ImageNet: --crop 224 --shorter-side 256,480)",
        s.data));
  }
  f.network.classes = data.images.classes();
  if (s.class_weights == "auto") f.network.class_weights = balanced_class_weights(data);
  std::string threads_from;
  if (f.device.threads == 0) {
    const cli::DefaultThreads threads = cli::default_threads();
    f.device.threads = threads.count;
    threads_from = fmt::format(" ({})", threads.decided_by);
  }

  const std::string purpose = cli::purpose_of(app, text);
  FinalState state;
  state.training.seed = s.seed;
  const std::filesystem::path folder = std::filesystem::absolute(s.out).parent_path();
  if (!std::filesystem::is_directory(folder) || ::access(folder.c_str(), W_OK) != 0) {
    throw InvalidInput(fmt::format("--out {}: the folder {} does not exist or cannot be written",
                                   s.out, folder.string()));
  }
  if (s.resume && finished_before(s.out, checkpoint, text)) {
    fmt::print("model: {}\nfinished before\n", s.out);
    return cli::kDone;
  }
  if (s.resume) {
    state = load_checkpoint(checkpoint, purpose);
  } else {
    for (const std::string& file : {s.out, checkpoint}) {
      if (!s.force && std::filesystem::exists(file)) {
        throw InvalidInput(fmt::format("{}: exists; --force replaces it{}", file,
                                       file == checkpoint ? ", --resume goes on from it" : ""));
      }
    }
  }

  const auto backend = make_backend(f.device);
  const Graph graph = build_network(space, genome, f.network);
  const Counts counts = count(graph);
  cli::Console console("", s.quiet);
  if (backend->precision(f.device.precision) != f.device.precision) {
    console.log()(LogLevel::kWarning, fmt::format("backend {} has no {}; using float32",
                                                  backend->name(), to_string(f.device.precision)));
  }
  for (const std::string& warning : data.warnings) console.log()(LogLevel::kWarning, warning);
  console.log()(
      LogLevel::kInfo,
      fmt::format("{}\n{} parameters, {} mult-adds, {} training images, {} on {} thread{}{}", text,
                  counts.parameters, counts.mult_adds, data.train.size(), backend->description(),
                  f.device.threads, f.device.threads == 1 ? "" : "s", threads_from));

  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  int64_t images = 0;
  const int64_t total = static_cast<int64_t>(data.train.size()) * (s.epochs - state.training.epoch);
  TrainingHooks hooks;
  hooks.stop = [&] { return stop.load(); };
  hooks.on_step = [&](int count) {
    images += count;
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    const double rate = static_cast<double>(images) / seconds;
    console.progress(fmt::format("{:.1f} % of {} epochs  {:.0f} images/s  {} left",
                                 100.0 * static_cast<double>(images) / static_cast<double>(total),
                                 s.epochs, rate,
                                 cli::duration_text(static_cast<double>(total - images) / rate)));
  };
  const Evaluation result = train_from_scratch(
      *backend, space, genome, std::move(state), data, f, hooks, [&](const FinalState& reached) {
        const EpochMetrics& e = reached.training.history.back();
        console.log()(LogLevel::kInfo,
                      fmt::format("epoch {}/{}: loss {:.4f}, training accuracy {:.2f} %",
                                  reached.training.epoch, s.epochs, e.loss, 100 * e.accuracy));
        save_checkpoint(checkpoint, purpose, reached);
      });
  console.finish();
  if (result.stopped) {
    cli::say("stopped; the same command with --resume goes on\n");
    return cli::kStopped;
  }
  if (result.status != Status::kOk) {
    throw Error(fmt::format("training ended: {} ({})", to_string(result.status), result.message));
  }

  Model model = make_model(text, f.network, data.images.info(), f.augmentation);
  model.validation_accuracy = result.score.accuracy;
  model.validation_balanced_accuracy = result.score.balanced_accuracy;
  model.weights = result.weights;
  save_model(s.out, model);
  std::error_code failure;
  std::filesystem::remove(checkpoint, failure);
  if (failure) {
    console.log()(LogLevel::kWarning,
                  fmt::format("{}: cannot remove it ({}); the model is finished", checkpoint,
                              failure.message()));
  }
  fmt::print("model: {}\n", s.out);
  if (!data.validation.empty()) {
    print_score("validation", result.score);
  }
  if (DataSet::has_split(s.data, "test")) {
    const DataSet test = DataSet::open(s.data, "test");
    const Score score = score_network(
        *backend, graph, model.weights, test, all_indices(test.size()),
        {.batch = f.batch, .device = f.device, .training = f.augmentation, .stop = nullptr});
    print_score("test", score);
  }
  return cli::kDone;
}

/// The options of a list's training as the library takes them. Throws InvalidInput where they are
/// others than those that the folder was begun with.
ListTrainingOptions list_options(const CLI::App& app, const cli::TrainSettings& s) {
  ListTrainingOptions o = s.ranks;
  o.data = s.data;
  o.folder = s.out;
  o.resume = s.resume;
  o.stored_options = app.config_to_str(false, true);
  o.genomes = cli::read_cells(s.list);
  o.final = cli::final_options(s);
  o.balance_classes = s.class_weights == "auto";
  o.validation = s.validation;
  o.validation_group = s.validation_group;
  o.subset = s.subset;
  o.seed = s.seed;
  if (o.final.network.kind == NetworkKind::kDeepLab) {
    throw InvalidInput(
        "--network deeplab and --list: networks that segment are trained one by one");
  }
  if (s.force) {
    throw InvalidInput("--force and --list: models of a list are not replaced; name a new folder");
  }
  if (app.get_option("--genome")->count() > 0) {
    throw InvalidInput("--genome and --list: the list holds all cells");
  }
  if (s.resume) {
    cli::TrainSettings stored;
    CLI::App other("", app.get_name());
    cli::prepare(other);
    cli::add_train_options(other, stored);
    for (const char* name : {"--data", "--out"}) other.get_option(name)->required(false);
    const RunDirectory run = RunDirectory::open(s.out, RunDirectory::Kind::kList);
    cli::parse_stored(other, run.options(), run.path() + "/options.toml", 2);
    const std::string then = cli::purpose_of(other, "a list");
    const std::string now = cli::purpose_of(app, "a list");
    if (then != now) {
      throw InvalidInput(fmt::format(
          "{}: expected the options of\n  {}\nfound those of\n  {}\nGive the same options to go "
          "on, or name another folder to start anew.",
          s.out, then, now));
    }
  }
  return o;
}

void print_cells(const ListTrainingResult& result, const std::string& folder) {
  for (const TrainedCell& c : result.cells) {
    if (c.status != Status::kOk) {
      fmt::print("cell {:<6} {} ({})  {}\n", c.name, to_string(c.status), c.message, c.genome);
      continue;
    }
    fmt::print("cell {:<6}{:6.2f} % on D_val{}  {}\n", c.name, 100 * c.validation_accuracy,
               c.test_accuracy ? fmt::format("  {:6.2f} % on test", 100 * *c.test_accuracy) : "",
               c.genome);
  }
  fmt::print("results: {}/results.jsonl\n", folder);
}

int train_cells(ListTrainingOptions o, const cli::TrainSettings& settings, const cli::Ranks& ranks,
                Transport& transport, int& silent_ranks) {
  if (o.final.device.threads == 0) o.final.device.threads = ranks.threads().count;
  const bool first = ranks.rank() == 0;
  cli::Console console("", settings.quiet);
  SearchRunHooks hooks;
  hooks.stop = &cli::stop_on_signals();
  hooks.silent_ranks = &silent_ranks;
  hooks.device_index = ranks.choose_device(o.final.device.backend, settings.ranks_per_gpu);
  hooks.log = [&](LogLevel level, std::string_view text) {
    if (first || level == LogLevel::kError) console.log()(level, text);
  };
  hooks.on_progress = [&](const SearchProgress& p) {
    console.progress(
        fmt::format("{}/{} cells  {:.0f} images/s{}", p.done, p.total, p.images_per_second,
                    p.seconds_left ? "  " + cli::duration_text(*p.seconds_left) + " left" : ""));
  };
  const ListTrainingResult result = train_list(o, transport, hooks);
  console.finish();
  if (!first) return result.silent_ranks > 0 ? cli::kFailed : cli::kDone;
  if (!result.finished) {
    cli::say("stopped; the same command with --resume goes on\n");
    return cli::kStopped;
  }
  print_cells(result, o.folder);
  return cli::kDone;
}

/// Whether ranks are wanted: one cell is trained without MPI.
bool asks_for_list(int argc, char** argv) {
  return std::any_of(argv, argv + argc, [](const char* argument) {
    return std::string_view(argument).starts_with("--list");
  });
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(kDescription, "renas-train");
  cli::prepare(app);
  cli::TrainSettings settings;
  settings.final.device.threads = 0;
  cli::add_train_options(app, settings);
  if (!asks_for_list(argc, argv)) {
    return cli::run(app, argc, argv, [&] {
      return settings.final.network.kind == NetworkKind::kDeepLab
                 ? cli::train_deeplab(app, settings)
                 : train_network(app, settings);
    });
  }
  const cli::Ranks ranks(argc, argv);
  const std::unique_ptr<Transport> transport = ranks.make_transport();
  ListTrainingOptions options;
  const auto prepare = [&] {
    cli::parse(app, argc, argv);
    options = list_options(app, settings);
  };
  return cli::run_on_ranks(app, ranks, prepare, [&](int& silent_ranks) {
    return train_cells(options, settings, ranks, *transport, silent_ranks);
  });
}
