// renas-train trains the network of one genome from scratch, over MPI ranks that share each step,
// or the networks of a list, a rank each; with a checkpoint after each epoch.

#include <fmt/format.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "cli/console.h"
#include "cli/frame.h"
#include "cli/lists.h"
#include "cli/ranks.h"
#include "cli/recipe.h"
#include "cli/run_on_ranks.h"
#include "cli/train_session.h"
#include "cli/train_settings.h"
#include "deeplab.h"
#include "renas/architecture.h"
#include "renas/communicator.h"
#include "renas/error.h"
#include "renas/list_training.h"
#include "renas/model.h"
#include "renas/run_directory.h"
#include "renas/search_run.h"
#include "renas/zoo.h"

using namespace renas;

namespace {

constexpr const char* kDescription =
    "Trains the network of one genome from scratch: SGD with momentum, cosine learning rate. "
    "Writes\n"
    "a checkpoint beside the model after every epoch; stopped or killed, the same command with\n"
    "--resume goes on. Prints the accuracy on held-out images and, once, on the test set.\n\n"
    "Several ranks train one network together; --batch is that of each of them:\n"
    "  mpirun -np 2 renas-train --data cifar10.h5 --out final.h5 --cells 6 --filters 32\n\n"
    "With --list it trains many cells in the same way, each from the same seed, over all ranks:\n"
    "  mpirun -np 4 renas-train --list cells.txt --data cifar10.h5 --out trained --epochs 100";

/// Among few classes the best five say little.
constexpr int kClassesForTop5 = 50;

void print_score(const char* images, const Score& score, int classes) {
  fmt::print("{0} accuracy {1:.2f} %\n{0} balanced accuracy {2:.2f} %\n", images,
             100 * score.accuracy, 100 * score.balanced_accuracy);
  if (classes < kClassesForTop5) return;
  fmt::print("{} top-5 accuracy {:.2f} %\n", images, 100 * score.top5_accuracy);
}

/// A genome as a model keeps it: renasnet as a cell, other names as they are.
std::string stored_text(const std::string& genome) {
  const std::string text = zoo_text(genome);
  if (names_family(text) || is_zoo_name(text)) return genome;
  const SearchSpace space = space_of(text);
  return to_string(space, parse_genome(space, text));
}

/// One network's training as it stands before its first step.
struct NetworkTraining : cli::TrainSession {
  FinalOptions options;
};

/// Reads what the training needs. Throws InvalidInput, IoError.
NetworkTraining prepare_network(const CLI::App& app, const cli::TrainSettings& s,
                                const cli::Ranks& ranks) {
  NetworkTraining t;
  cli::open_data(t, s, stored_text(s.genome));
  const DataSet& images = t.data->images;

  FinalOptions& f = t.options;
  f = cli::final_options(s);
  f.network.image = images.shape();
  if (s.crop > 0) f.network.image.height = f.network.image.width = s.crop;
  if (s.crop == 0 && images.encoded()) {
    throw InvalidInput(fmt::format(
        "{}: its images are encoded and may vary in size; --crop says what to cut out of each "
        "(ImageNet: --crop 224 --shorter-side 256,480)",
        s.data));
  }
  f.network.classes = images.classes();
  if (s.class_weights == "auto") f.network.class_weights = balanced_class_weights(*t.data);
  if (f.device.threads == 0) f.device.threads = ranks.threads().count;
  check_step(*t.data, f.batch, ranks.ranks());

  cli::find_state(t, app, s, f.network, ranks);
  return t;
}

/// Says what is about to be trained, and on what.
void announce(const NetworkTraining& t, const Backend& backend, const Graph& graph,
              const cli::TrainSettings& s, const cli::Ranks& ranks, const Log& log) {
  const FinalOptions& f = t.options;
  cli::say_how_ranks_train(t, s, f, backend, ranks, log);
  const Counts counts = count(graph);
  log(LogLevel::kInfo,
      fmt::format(
          "{}\n{} parameters, {} mult-adds, {} training images, {} on {} thread{}{}", t.genome,
          counts.parameters, counts.mult_adds, t.data->train.size(), backend.description(),
          f.device.threads, f.device.threads == 1 ? "" : "s",
          s.final.device.threads == 0 ? fmt::format(" ({})", ranks.threads().decided_by) : ""));
}

/// What all ranks have found to be wrong is said by one, and all leave in order. Returns `code`.
int fail_together(bool first, const std::string& message, int code) {
  if (first) cli::say("renas-train: " + message + "\n");
  return code;
}

/// Prints the accuracy on the test set, where there is one; all ranks score a part of it.
void score_on_test(const NetworkTraining& t, Backend& backend, const Graph& graph,
                   const Weights& weights, bool first) {
  if (!t.test) return;
  const FinalOptions& f = t.options;
  const Score score = score_network(backend, graph, weights, *t.test, all_indices(t.test->size()),
                                    {.batch = f.batch,
                                     .device = f.device,
                                     .training = f.augmentation,
                                     .stop = nullptr,
                                     .communicator = f.communicator});
  if (first) print_score("test", score, f.network.classes);
}

/// Says again what an earlier session that trained the network said at its end, or was to say.
void show_finished(const NetworkTraining& t, const cli::TrainSettings& s, bool first) {
  const Model& model = *t.finished;
  if (first) {
    fmt::print("model: {}\nfinished before\n", s.out);
    if (!t.data->validation.empty()) {
      fmt::print("validation accuracy {:.2f} %\n", 100 * model.validation_accuracy);
    }
    if (!t.data->validation.empty() && model.validation_balanced_accuracy) {
      fmt::print("validation balanced accuracy {:.2f} %\n",
                 100 * *model.validation_balanced_accuracy);
    }
  }
  if (!t.test) return;
  const auto backend = make_backend(t.options.device);
  score_on_test(t, *backend, graph_of(model), model.weights, first);
}

/// Trains the network, with the other ranks where there are any.
int train_network(NetworkTraining t, const cli::TrainSettings& s, const cli::Ranks& ranks) {
  const std::atomic<bool>& stop = cli::stop_on_signals();
  const bool first = ranks.rank() == 0;
  const std::unique_ptr<Communicator> communicator = ranks.make_communicator();
  FinalOptions& f = t.options;
  f.communicator = communicator.get();
  // A finished model without test images needs no device any more.
  if (!t.finished || t.test) {
    f.device.index = ranks.choose_device(f.device.backend, s.ranks_per_gpu);
  }
  try {
    cli::expect_same_training(f.communicator, t);
  } catch (const InvalidInput& e) {
    return fail_together(first, e.what(), cli::kMistake);
  }

  cli::Console console("", s.quiet);
  const Log log = [&, print = console.log()](LogLevel level, std::string_view text) {
    if (first || level == LogLevel::kError) print(level, text);
  };
  if (t.finished) {
    show_finished(t, s, first);
    return cli::kDone;
  }
  const auto backend = make_backend(f.device);
  const Graph graph = build_network(t.genome, f.network);
  announce(t, *backend, graph, s, ranks, log);

  TrainingHooks hooks;
  hooks.stop = [&] { return stop.load(); };
  hooks.on_sums = [&](const std::string& how) { log(LogLevel::kInfo, how); };
  if (first) hooks.on_step = cli::show_progress(console, t, s);
  const Evaluation result = train_from_scratch(
      *backend, graph, std::move(t.state), *t.data, f, hooks, [&](const FinalState& reached) {
        const EpochMetrics& e = reached.training.history.back();
        log(LogLevel::kInfo,
            fmt::format("epoch {}/{}: loss {:.4f}, training accuracy {:.2f} %",
                        reached.training.epoch, s.epochs, e.loss, 100 * e.accuracy));
        if (first) save_checkpoint(t.checkpoint, t.purpose, reached);
      });
  console.finish();
  if (result.stopped) {
    if (first) cli::say("stopped; the same command with --resume goes on\n");
    return cli::kStopped;
  }
  if (result.status != Status::kOk) {
    return fail_together(
        first, fmt::format("training ended: {} ({})", to_string(result.status), result.message),
        cli::kFailed);
  }

  if (first) {
    Model model = make_model(t.genome, f.network, t.data->images.info(), f.augmentation);
    model.validation_accuracy = result.score.accuracy;
    model.validation_balanced_accuracy = result.score.balanced_accuracy;
    model.weights = result.weights;
    cli::finish_model(t, s, std::move(model), log);
    if (!t.data->validation.empty()) print_score("validation", result.score, f.network.classes);
  }
  score_on_test(t, *backend, graph, result.weights, first);
  return cli::kDone;
}

/// Ends all ranks where one alone fails in the middle of a training: the others wait for its
/// gradients.
int train_together(const CLI::App& app, const cli::Ranks& ranks,
                   const std::function<int()>& train) {
  if (ranks.ranks() == 1) return train();
  const std::string name = fmt::format("{} [rank {}]", app.get_name(), ranks.rank());
  bool failed = false;
  const int code = cli::guarded(app, name, [&] {
    try {
      return train();
    } catch (...) {
      failed = true;
      throw;
    }
  });
  if (failed) ranks.abort(code);
  return code;
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
  if (!s.recipe.empty()) {
    throw InvalidInput(
        fmt::format("--recipe and --list: name the recipe's file by --config {}/{}.toml instead",
                    cli::recipe_folder("renas-train"), s.recipe));
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
    // The folder knows its data by what they are, wherever they lie.
    const std::string then = cli::purpose_of(other, "a list", "");
    const std::string now = cli::purpose_of(app, "a list", "");
    if (then != now) {
      throw InvalidInput(
          fmt::format("{}: was begun with other options: {}. Give the same options to go on, or "
                      "name another folder to start anew.",
                      s.out, cli::differing_options(then, now)));
    }
  }
  return o;
}

void print_cells(const ListTrainingResult& result, const ListTrainingOptions& o) {
  const bool held_out = o.validation != 0 || !o.validation_group.empty();
  for (const TrainedCell& c : result.cells) {
    if (c.status != Status::kOk) {
      fmt::print("cell {:<6} {} ({})  {}\n", c.name, to_string(c.status), c.message, c.genome);
      continue;
    }
    fmt::print("cell {:<6}{}{}  {}\n", c.name,
               held_out ? fmt::format("{:6.2f} % on D_val  ", 100 * c.validation_accuracy) : "",
               c.test_accuracy ? fmt::format("{:6.2f} % on test", 100 * *c.test_accuracy) : "",
               c.genome);
  }
  fmt::print("results: {}/results.jsonl\n", o.folder);
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
  for (const std::string& warning : cli::schedule_warnings(settings)) {
    hooks.log(LogLevel::kWarning, warning);
  }
  const ListTrainingResult result = train_list(o, transport, hooks);
  console.finish();
  if (!first) return result.silent_ranks > 0 ? cli::kFailed : cli::kDone;
  if (!result.finished) {
    cli::say("stopped; the same command with --resume goes on\n");
    return cli::kStopped;
  }
  print_cells(result, o);
  return cli::kDone;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(kDescription, "renas-train");
  cli::prepare(app);
  cli::TrainSettings settings;
  settings.final.device.threads = 0;
  cli::add_train_options(app, settings);
  const cli::Ranks ranks(argc, argv);
  ListTrainingOptions list;
  NetworkTraining network;
  cli::DeepLabTraining deeplab;
  const auto segments = [&] { return settings.final.network.kind == NetworkKind::kDeepLab; };
  const auto prepare = [&] {
    cli::apply_recipe(app, argc, argv);
    cli::parse(app, argc, argv);
    cli::check_options_apply(app, settings);
    if (settings.list.empty() && segments()) {
      deeplab = cli::prepare_deeplab(app, settings, stored_text(settings.genome), ranks);
    } else if (settings.list.empty()) {
      network = prepare_network(app, settings, ranks);
    } else {
      list = list_options(app, settings);
    }
  };
  return cli::run_on_ranks(app, ranks, prepare, [&](int& silent_ranks) {
    if (settings.list.empty()) {
      return train_together(app, ranks, [&] {
        return segments() ? cli::train_deeplab(std::move(deeplab), settings, ranks)
                          : train_network(std::move(network), settings, ranks);
      });
    }
    const std::unique_ptr<Transport> transport = ranks.make_transport();
    return train_cells(list, settings, ranks, *transport, silent_ranks);
  });
}
