// renas-search: the search over MPI ranks, the retraining of the final population, the result.

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "console.h"
#include "options.h"
#include "program.h"
#include "ranks.h"
#include "renas/controller.h"
#include "renas/error.h"
#include "renas/run_directory.h"
#include "renas/search_run.h"

using namespace renas;

namespace {

constexpr const char* kDescription =
    "Searches a cell by RENAS (Chen et al., CVPR 2019): tournament evolution whose mutations a\n"
    "recurrent controller decides, children inheriting weights. Then retrains the final population\n"
    "from scratch and reads the winner's test accuracy.\n\n"
    "Run it alone or under mpirun: every rank trains children, rank 0 also coordinates. The run is\n"
    "a folder; stopped by SIGINT, SIGTERM or SIGUSR1, or killed, it goes on by\n"
    "  renas-search --run DIR --resume";

constexpr const char* kFooter =
    "Exit codes: 0 done; 1 failed; 2 something to mend (options, files, disk space);\n"
    "3 stopped by a signal, --resume goes on.";

/// Everything on the command line.
struct Settings {
  SearchRunOptions run;
  std::string operators = "all";
  int retrain_epochs = 20;
  double retrain_rate = 0.05;
  int retrain_cutout = 0;
  bool no_flip = false;
  bool quiet = false;
};

void add_options(CLI::App& app, Settings& s) {
  SearchRunOptions& o = s.run;
  app.add_option("--data", o.data, "HDF5 data set with groups train and test (renas-prep-...)")
      ->transform(program::absolute_path())
      ->group("Run");
  app.add_option("--run", o.folder, "Folder of the run; a new one, unless --resume")
      ->required()
      ->configurable(false)
      ->group("Run");
  app.add_flag("--resume", o.resume, "Go on with the run in that folder; its options hold")
      ->configurable(false)
      ->group("Run");
  app.add_option("--seed", o.strategy.seed, "All randomness of the run follows from it")
      ->group("Run");
  app.add_option("--snapshot-seconds", o.snapshot_seconds, "Least time between two snapshots")
      ->check(CLI::NonNegativeNumber)
      ->group("Run");
  app.add_option("--worker-timeout", o.worker_timeout,
                 "Seconds of silence after which a rank counts as dead and its child as lost")
      ->check(CLI::PositiveNumber)
      ->group("Run");
  app.add_flag("--quiet", s.quiet, "No progress, only warnings and the result")
      ->configurable(false)
      ->group("Run");

  app.add_option("--strategy", o.strategy.name, "How to search")
      ->check(CLI::IsMember(strategy_names()))
      ->group("Search");
  app.add_option("--controller", o.strategy.controller,
                 "paper: the paper's form, exact; default: the one that did best in benchmarks")
      ->check(CLI::IsMember(controller_names()))
      ->group("Search");
  app.add_option("--baseline", o.strategy.baseline,
                 "What rewards are compared with: none, moving, standardised; empty: the "
                 "controller's own")
      ->check(CLI::IsMember({"", "none", "moving", "standardised"}))
      ->group("Search");
  app.add_option("--critic", o.strategy.critic,
                 "Mutations sampled, of which a critic picks one; 0: none; -1: the controller's own")
      ->check(CLI::Range(-1, 10000))
      ->group("Search");
  app.add_option("--redraw-repeats", o.strategy.redraw_repeats,
                 "How often a candidate seen before is drawn again; 0: it is trained all the same")
      ->check(CLI::Range(0, 1000000))
      ->group("Search");
  app.add_option("--max-parameters", o.max_parameters,
                 "Networks with more are not trained but drawn again; 0: no limit")
      ->check(CLI::NonNegativeNumber)
      ->group("Search");
  app.add_option("--max-mult-adds", o.max_mult_adds, "Likewise, multiply-adds of a picture")
      ->check(CLI::NonNegativeNumber)
      ->group("Search");
  app.add_option("--blocks", o.blocks, "B: blocks of the cell")
      ->check(CLI::Range(1, 64))
      ->group("Search");
  app.add_option("--operators", s.operators,
                 "all: the paper's six; or some of them, separated by commas")
      ->group("Search");
  app.add_option("--population", o.strategy.population, "P: members of the population")
      ->check(CLI::Range(1, 1000000))
      ->group("Search");
  app.add_option("--sample", o.strategy.sample, "S: members of a tournament")
      ->check(CLI::Range(1, 1000000))
      ->group("Search");
  app.add_option("--children", o.children, "E: children after the first P members")
      ->check(CLI::Range(0, 100000000))
      ->group("Search");
  app.add_option("--time-budget", o.time_budget,
                 "End the search after so many seconds, earlier sessions included; 0: no limit")
      ->check(CLI::NonNegativeNumber)
      ->group("Search");

  program::add_network_options(app, o.child.network);

  app.add_option("--pad", o.child.augmentation.pad,
                 "Zeros around a training picture before a random crop of its size")
      ->check(CLI::Range(0, 1024))
      ->group("Training of children");
  app.add_flag("--no-flip", s.no_flip, "Do not mirror training pictures at random")
      ->group("Training of children");

  app.add_option("--validation", o.validation,
                 "Pictures held out of the training set as D_val; -1: 5000, or a tenth if fewer")
      ->group("Training of children");
  app.add_option("--subset", o.subset, "Pictures of D_train, after D_val was held out; 0: all")
      ->group("Training of children");
  app.add_option("--batch", o.child.batch, "Pictures a step")
      ->check(CLI::Range(1, 65536))
      ->group("Training of children");
  app.add_option("--initial-epochs", o.child.initial_epochs, "Epochs of members without a parent")
      ->check(CLI::Range(1, 100000))
      ->group("Training of children");
  app.add_option("--initial-rate", o.child.initial_rate, "Their learning rate, falling by a cosine")
      ->check(CLI::PositiveNumber)
      ->group("Training of children");
  app.add_option("--child-epochs", o.child.child_epochs, "Passes over D_train of a child")
      ->check(CLI::Range(1, 100000))
      ->group("Training of children");
  app.add_option("--new-rate", o.child.new_rate, "Learning rate of a child's new parameters")
      ->check(CLI::NonNegativeNumber)
      ->group("Training of children");
  app.add_option("--inherited-rate", o.child.inherited_rate, "Learning rate of inherited ones")
      ->check(CLI::NonNegativeNumber)
      ->group("Training of children");
  app.add_option("--momentum", o.child.momentum, "Momentum of SGD")
      ->check(CLI::Range(0.0, 1.0))
      ->group("Training of children");
  app.add_option("--weight-decay", o.child.weight_decay, "Decay of conv and linear weights")
      ->check(CLI::NonNegativeNumber)
      ->group("Training of children");

  app.add_option("--retrain-epochs", s.retrain_epochs, "Epochs of each network")
      ->check(CLI::Range(1, 100000))
      ->group("Retraining of the final population");
  app.add_option("--retrain-rate", s.retrain_rate, "Learning rate, falling by one cosine")
      ->check(CLI::PositiveNumber)
      ->group("Retraining of the final population");
  app.add_option("--retrain-subset", o.retrain_subset,
                 "Pictures of D_train then; 0: all; -1: as --subset")
      ->group("Retraining of the final population");
  app.add_option("--retrain-cutout", s.retrain_cutout, "Side of a square cut out; 0: none")
      ->check(CLI::Range(0, 65536))
      ->group("Retraining of the final population");
  app.add_option("--controls", o.controls,
                 "Random cells retrained and tested in the same way, beside the winner")
      ->check(CLI::Range(0, 100000))
      ->group("Retraining of the final population");

  program::add_device_options(app, o.backend, o.child.threads, o.child.precision);
}

/// On --resume the run's own options hold; those given again must not say otherwise.
Settings settings_of_run(const CLI::App& given, const Settings& from_command_line) {
  const RunDirectory run = RunDirectory::open(from_command_line.run.folder);
  Settings stored;
  CLI::App app;
  program::prepare(app);
  add_options(app, stored);
  app.get_option("--run")->required(false);
  std::istringstream text(run.options());
  try {
    app.parse_from_stream(text);
  } catch (const CLI::Error& e) {
    throw InvalidInput(fmt::format("{}/options.toml: {}", run.path(), e.what()));
  }
  // How the work is spread and shown may change between sessions; what is computed may not.
  const std::vector<std::string> free{"--run",    "--resume",           "--quiet",
                                      "--config", "--snapshot-seconds", "--worker-timeout",
                                      "--threads"};
  for (const CLI::Option* option : given.get_options()) {
    const std::string name = option->get_name();
    if (option->count() == 0 || std::find(free.begin(), free.end(), name) != free.end()) continue;
    const std::string now = program::value_text(*option);
    const std::string then = program::value_text(*app.get_option(name));
    if (now != then) {
      throw InvalidInput(fmt::format(
          "{} {}: the run in {} was started with {}. Leave the option out to go on with that run, "
          "or start a new one in another folder.",
          name, now, run.path(), then));
    }
  }
  stored.quiet = from_command_line.quiet;
  stored.run.folder = from_command_line.run.folder;
  stored.run.resume = true;
  const auto override_by = [&](const char* name, auto& value, const auto& new_value) {
    if (given.get_option(name)->count() > 0) value = new_value;
  };
  const SearchRunOptions& now = from_command_line.run;
  override_by("--snapshot-seconds", stored.run.snapshot_seconds, now.snapshot_seconds);
  override_by("--worker-timeout", stored.run.worker_timeout, now.worker_timeout);
  override_by("--threads", stored.run.child.threads, now.child.threads);
  return stored;
}

std::vector<std::string> split_operators(const std::string& text) {
  if (text == "all") return {};
  std::vector<std::string> operators;
  std::istringstream stream(text);
  for (std::string op; std::getline(stream, op, ',');) operators.push_back(op);
  return operators;
}

std::string progress_line(const SearchProgress& p) {
  const bool search = p.phase == SearchProgress::Phase::kSearch;
  std::string line = fmt::format("{} {}/{}", search ? "search" : "retrain", p.done, p.total);
  if (p.best > 0) line += fmt::format("  best {:.2f} %", 100 * p.best);
  if (search && p.mean > 0) line += fmt::format("  mean {:.2f} %", 100 * p.mean);
  line += fmt::format("  {:.0f} images/s", p.pictures_per_second);
  if (p.seconds_left) line += "  " + program::duration_text(*p.seconds_left) + " left";
  return line;
}

void print_result(const SearchRunResult& result, const RunDirectory& run) {
  for (const RetrainedNetwork& n : result.networks) {
    const bool control = n.name.starts_with("control");
    const bool winner = n.name == result.winner;
    fmt::print("{:<12}{:6.2f} % on D_val{}  {}\n",
               winner    ? "winner " + n.name
               : control ? "random " + n.name.substr(7)
                         : "member " + n.name,
               100 * n.validation_accuracy,
               n.test_accuracy ? fmt::format("  {:6.2f} % on test", 100 * *n.test_accuracy) : "",
               n.genome);
  }
  fmt::print("model: {}\n", run.best_file());
  for (const RetrainedNetwork& n : result.networks) {
    if (n.name == result.winner && n.test_accuracy) {
      fmt::print("test accuracy {:.2f} %\n", 100 * *n.test_accuracy);
    }
  }
}

int search(const CLI::App& app, Settings settings, const program::Ranks& ranks,
           Transport& transport) {
  SearchRunOptions& o = settings.run;
  o.stored_options = fmt::format("# renas {}, run format {}\n", RENAS_VERSION, kRunFormat) +
                     app.config_to_str(true, true);
  o.operators = split_operators(settings.operators);
  if (o.child.threads == 0) o.child.threads = ranks.threads();
  o.child.augmentation.flip = !settings.no_flip;
  o.final.network = o.child.network;
  o.final.recipe.epochs = settings.retrain_epochs;
  o.final.recipe.learning_rates = {settings.retrain_rate};
  o.final.recipe.cosine_cycles = {settings.retrain_epochs};
  o.final.recipe.momentum = o.child.momentum;
  o.final.recipe.weight_decay = o.child.weight_decay;
  o.final.batch = o.child.batch;
  o.final.augmentation = o.child.augmentation;
  o.final.augmentation.cutout = settings.retrain_cutout;
  o.final.threads = o.child.threads;
  o.final.precision = o.child.precision;

  const bool first = ranks.rank() == 0;
  std::unique_ptr<program::Console> console;
  SearchRunHooks hooks;
  hooks.stop = &program::stop_on_signals();
  if (first) {
    // The run's folder does not exist before the run has made it; its log opens with the first line.
    hooks.log = [&](LogLevel level, std::string_view text) {
      if (!console) {
        console = std::make_unique<program::Console>(RunDirectory::open(o.folder).log_file(),
                                                     settings.quiet);
        console->log()(LogLevel::kInfo, fmt::format("{} rank{} x {} thread{}", ranks.ranks(),
                                                    ranks.ranks() == 1 ? "" : "s", o.child.threads,
                                                    o.child.threads == 1 ? "" : "s"));
      }
      console->log()(level, text);
    };
    hooks.on_progress = [&](const SearchProgress& p) {
      if (console) console->progress(progress_line(p));
    };
  }
  const SearchRunResult result = run_search(o, transport, hooks);
  if (console) console->finish();
  if (!first) return program::kDone;
  if (result.finished) {
    print_result(result, RunDirectory::open(o.folder));
  } else {
    program::say(fmt::format("stopped; go on by renas-search --run {} --resume\n", o.folder));
  }
  const int code = result.finished ? program::kDone : program::kStopped;
  if (result.silent_ranks > 0) {
    std::fflush(stdout);
    ranks.abort(code);
  }
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  const program::Ranks ranks(argc, argv);
  CLI::App app(kDescription, "renas-search");
  program::prepare(app);
  app.footer(kFooter);
  Settings settings;
  settings.run.child.threads = 0;
  add_options(app, settings);
  // All ranks start, or none: a rank that cannot read its options says so unless rank 0 does.
  const std::unique_ptr<Transport> transport = ranks.make_transport();
  const bool first = ranks.rank() == 0;
  std::exception_ptr problem;
  try {
    app.parse(argc, argv);
    if (settings.run.resume) {
      settings = settings_of_run(app, settings);
    } else if (settings.run.data.empty()) {
      throw InvalidInput("--data is required, except with --resume");
    }
  } catch (...) {
    problem = std::current_exception();
  }
  const bool first_is_well = ranks.worst(first && problem ? 1 : 0) == 0;
  const std::string name =
      first ? app.get_name() : fmt::format("{} [rank {}]", app.get_name(), ranks.rank());
  int code = program::kDone;
  if (problem && (first || first_is_well)) {
    code = program::guarded(app, name, [&]() -> int { std::rethrow_exception(problem); });
  }
  const bool all_well = ranks.worst(problem ? 1 : 0) == 0;
  code = ranks.worst(code);
  if (!all_well) return code;
  return program::guarded(app, name, [&] { return search(app, settings, ranks, *transport); });
}
