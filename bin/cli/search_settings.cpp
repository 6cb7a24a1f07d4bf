#include "cli/search_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <sstream>

#include "cli/frame.h"
#include "cli/lists.h"
#include "cli/options.h"
#include "cli/recipe.h"
#include "renas/controller.h"
#include "renas/error.h"
#include "renas/run_directory.h"

namespace renas::cli {

namespace {

std::vector<std::string> split_operators(const std::string& text) {
  if (text == "all") return {};
  std::vector<std::string> operators;
  std::istringstream stream(text);
  for (std::string op; std::getline(stream, op, ',');) operators.push_back(op);
  return operators;
}

/// Parses a run's options.toml into `app`, which is empty, and into the settings bound to it.
void parse_options_of(const RunDirectory& run, CLI::App& app, SearchSettings& settings) {
  app.name("renas-search");
  prepare(app);
  // What runs did that were begun before these options were there.
  settings.run.child.inherit = true;
  settings.run.strategy.finalists = "population";
  add_search_options(app, settings);
  parse_stored(app, run.options(), run.path() + "/options.toml", 2);  // behind the format's line
}

/// The search space of --space FILE. Throws InvalidInput with file and line.
SearchSpace read_space(const std::string& path) {
  const std::string text = read_file(path);
  try {
    return SearchSpace::parse(text, Notation::kCell);
  } catch (const InvalidInput& e) {
    throw InvalidInput(fmt::format("{}: {}", path, e.what()));
  }
}

/// The number of --retrain-ranks; 0: auto.
int ranks_of(const std::string& text) {
  int ranks = 0;
  const auto [rest, failure] = std::from_chars(text.data(), text.data() + text.size(), ranks);
  if (text == "auto") return 0;
  if (failure == std::errc() && rest == text.data() + text.size() && ranks > 0) return ranks;
  throw CLI::ValidationError("--retrain-ranks",
                             fmt::format("expected auto, or a number from 1, got '{}'", text));
}

/// Space and initial genomes: of the files that are named, or what a run that is resumed keeps.
void add_inputs(const SearchSettings& settings, SearchRunOptions& o) {
  std::optional<RunDirectory> run;
  if (o.resume) run = RunDirectory::open(o.folder);
  if (!settings.space.empty()) {
    o.space = read_space(settings.space);
  } else if (const auto kept = run ? run->input("space") : std::nullopt) {
    o.space = SearchSpace::parse(*kept, Notation::kCell);
  }
  if (!settings.initial_genomes.empty()) {
    o.strategy.initial_genomes = read_genomes(settings.initial_genomes, space_of(o));
  } else if (run && run->input("initial_genomes")) {
    o.strategy.initial_genomes = read_genomes(run->path() + "/initial_genomes", space_of(o));
  }
}

}  // namespace

void add_search_options(CLI::App& app, SearchSettings& s) {
  SearchRunOptions& o = s.run;
  OptionGroup run(app, "Run");
  OptionGroup search(app, "Search");
  OptionGroup children(app, "Training of children");
  OptionGroup retraining(app, "Retraining of the finalists");
  run.option("--data", o.data, "HDF5 data set with groups train and test (renas-prep-...)")
      ->transform(absolute_path());
  run.option("--run", o.folder, "Folder of the run; a new one, unless --resume")
      ->configurable(false);
  add_recipe_option(app, s.recipe, "Run");
  run.flag("--resume", o.resume,
           "Go on with the run in that folder; its options hold. If its data set has moved, each "
           "time --data says where it lies; --threads, --worker-timeout, --max-attempts, --drain, "
           "--io-patience and --snapshot-seconds may change, until the first network was retrained "
           "--controls and what begins with --retrain-, and --children may grow, also when the run "
           "has ended: it then goes on, and its result is made anew")
      ->configurable(false);
  run.flag("--plan", s.plan,
           "Print what the search would cost, and start nothing: sizes of cells, memory, seconds a "
           "child (measured), disk, rank-hours")
      ->configurable(false);
  run.option("--replay", s.replay,
             "Do the search of the run in this folder again on one rank, whatever it had, and "
             "compare decisions, fitness and weights with what it found; change nothing")
      ->configurable(false);
  run.flag("--decisions-only", s.decisions_only,
           "With --replay: take the fitness from the history, and train nothing")
      ->configurable(false);
  run.option("--seed", o.strategy.seed, "All randomness of the run follows from it");
  run.option("--snapshot-seconds", o.snapshot_seconds, "Least time between two snapshots")
      ->check(CLI::NonNegativeNumber);
  run.option("--drain", o.drain_seconds,
             "SIGUSR1 lets the children under way go on for so many seconds, and begins no more; a "
             "second one stops them. 0: the first does")
      ->check(CLI::NonNegativeNumber);
  add_rank_options(run, o.worker_timeout, o.max_attempts, o.io_patience, s.ranks_per_gpu);
  run.flag("--quiet", s.quiet, "No progress, only warnings and the result")->configurable(false);

  search.option("--strategy", o.strategy.name, "How to search")
      ->check(CLI::IsMember(strategy_names()));
  search
      .option("--controller", o.strategy.controller,
              "paper: the paper's form, with our readings where it is open (README); default: the "
              "one that did best in benchmarks")
      ->check(CLI::IsMember(controller_names()));
  search
      .option("--baseline", o.strategy.baseline,
              "What rewards are compared with: none, moving, standardised; empty: the "
              "controller's own")
      ->check(CLI::IsMember({"", "none", "moving", "standardised"}));
  search
      .option("--critic", o.strategy.critic,
              "Mutations sampled, of which a critic picks one; 0: none; -1: the controller's own")
      ->check(CLI::Range(-1, 10000));
  search
      .text(
          "--input-attention",
          [&s](const std::string& text) { s.additive_attention = text == "additive"; },
          "How the controller scores the sources of an input slot. linear: by one linear unit, the "
          "paper's form as we read it, for which one parent's sources are in the same order for "
          "every slot; additive: by additive attention of 16 units, by which each slot may want "
          "another")
      ->check(CLI::IsMember({"linear", "additive"}))
      ->default_str("linear");
  search.flag("--learn-failures", s.learn_failures,
              "Children that diverge or run out of memory teach controller and critic, too");
  search.flag(
      "--learn-refusals", s.learn_refusals,
      "Mutations beyond --max-parameters or --max-mult-adds teach the controller, too: of those "
      "drawn between two results the last 8");
  search
      .option("--judge", o.strategy.judge,
              "What cells are judged by during the search. effect: an estimate of what they are "
              "worth, apart from what their mutation broke; fitness: what their training gave, the "
              "paper's rule. They differ only with --inherit")
      ->check(CLI::IsMember({"", "fitness", "effect"}));
  search
      .option(
          "--finalists", o.strategy.finalists,
          "What is retrained at the end. population: the last members; posterior-mean: of all "
          "candidates the P networks that a Gaussian process over all results expects the most "
          "of. It is as population with --objective accuracy-size, and with --judge effect where "
          "children inherit")
      ->check(CLI::IsMember({"", "population", "posterior-mean"}));
  search
      .text(
          "--objective",
          [&o](const std::string& text) { o.weigh_parameters = text == "accuracy-size"; },
          "What tournaments prefer. accuracy: the paper's rule; accuracy-size: fronts of accuracy "
          "and parameters, within which no member is better in both (NSGA-II)")
      ->check(CLI::IsMember({"accuracy", "accuracy-size"}))
      ->default_str("accuracy");
  search
      .option("--redraw-repeats", o.strategy.redraw_repeats,
              "How often a candidate seen before is drawn again; 0: it is trained all the same")
      ->check(CLI::Range(0, 1000000));
  search
      .option("--max-parameters", o.max_parameters,
              "Networks with more are not trained but drawn again; 0: no limit")
      ->check(CLI::NonNegativeNumber);
  search.option("--max-mult-adds", o.max_mult_adds, "Likewise, multiply-adds of an image")
      ->check(CLI::NonNegativeNumber);
  search.option("--blocks", o.blocks, "B: blocks of the cell")->check(CLI::Range(1, 64));
  search.option("--operators", s.operators,
                "all: the paper's six; or some of them, separated by commas");
  search
      .option("--cells-searched", o.cells_searched,
              "1: one cell, as in the paper; 2: a normal and a reduction cell, as for NASNet")
      ->check(CLI::Range(1, 2));
  search
      .option("--space", s.space,
              "A part of the paper's space in place of --blocks and --operators: a file that lists "
              "the choices of each slot, of which one fixes it (lib/src/genome/SPACES.md)")
      ->transform(absolute_path());
  search
      .option("--initial-genomes", s.initial_genomes,
              "Known cells to start from: a file of genomes, one a line, # opens a comment; the "
              "rest of the first P members is drawn at random")
      ->transform(absolute_path());
  search
      .text(
          "--fitness", [&o](const std::string& text) { o.child.fitness = parse_fitness(text); },
          "What cells are judged by on D_val: accuracy; balanced: the mean over classes of the "
          "share of their images that is right; likelihood: the geometric mean of the "
          "probabilities of the right classes, exp(-loss); retrained networks are then compared "
          "by accuracy")
      ->check(CLI::IsMember({"accuracy", "balanced", "likelihood"}))
      ->default_str("accuracy");
  search.option("--population", o.strategy.population, "P: members of the population")
      ->check(CLI::Range(2, 1000000));
  search.option("--sample", o.strategy.sample, "S: members of a tournament")
      ->check(CLI::Range(1, 1000000));
  search.option("--children", o.children, "E: children after the first P members")
      ->check(CLI::Range(0, 100000000));
  search
      .option("--patience", o.patience,
              "End the search once so many children in a row brought nothing better; 0: never")
      ->check(CLI::Range(0, 100000000));
  search.flag(
      "--in-order", o.in_order,
      "Count results in the order in which children were handed out: equal seeds give equal "
      "runs on equally many ranks, which may then wait for a slow one; results that still wait "
      "when the run is stopped are computed again");
  search.flag("--wait-for-parents", o.wait_for_parents,
              "Where many more than P ranks begin at once, those without work wait for the first "
              "members; else they train more cells without a parent, which count as children");
  search
      .option("--time-budget", o.time_budget,
              "End the search after so many seconds, earlier sessions included; 0: no limit")
      ->check(CLI::NonNegativeNumber);

  add_network_options(app, o.child.network);

  children
      .option("--pad", o.child.augmentation.pad,
              "Zeros around a training image before a random crop of its size")
      ->check(CLI::Range(0, 1024));
  children.flag("--no-flip", s.no_flip, "Do not mirror training images at random");

  children.option("--validation", o.validation,
                  "Images held out of the training set as D_val; -1: 5000, or a tenth if fewer");
  children
      .option("--validation-group", o.validation_group,
              "Take D_val of the split val of the data set instead, all of it or --validation")
      ->check(CLI::IsMember({"", "val"}));
  children.option("--subset", o.subset, "Images of D_train, after D_val was held out; 0: all");
  add_class_weights(children, s.class_weights);
  children.option("--batch", o.child.batch, "Images a step")->check(CLI::Range(1, 65536));
  children
      .flag("--inherit", o.child.inherit,
            "Children begin with their parents' weights, as in the paper, and are trained for "
            "--child-epochs (--recipe inherit sets what goes with it); without it they are trained "
            "as members without a parent are, and their fitness tells more of what a cell is "
            "worth")
      ->default_str(o.child.inherit ? "true" : "false");
  children
      .option("--initial-epochs", o.child.initial_epochs,
              "Epochs of networks that inherit nothing; with --inherit the paper's are 5")
      ->check(CLI::Range(1, 100000));
  children
      .option("--initial-rate", o.child.initial_rate, "Their learning rate, falling by a cosine")
      ->check(CLI::PositiveNumber);
  children
      .option("--child-epochs", o.child.child_epochs,
              "With --inherit: passes over D_train of a child")
      ->check(CLI::Range(1, 100000));
  children
      .option("--new-rate", o.child.new_rate,
              "Learning rate of a child's new parameters; the paper's is 0.01")
      ->check(CLI::NonNegativeNumber);
  children
      .option("--inherited-rate", o.child.inherited_rate,
              "Learning rate of inherited ones; the paper's is 0.001")
      ->check(CLI::NonNegativeNumber);
  children
      .flag("--child-anneal", o.child.anneal_children,
            "Both fall to 0 by a cosine over a child's passes, as those of members without a "
            "parent do; --child-anneal=false keeps them constant, as the paper does")
      ->default_str("true");
  children.option("--momentum", o.child.momentum, "Momentum of SGD")->check(CLI::Range(0.0, 1.0));
  children.option("--weight-decay", o.child.weight_decay, "Decay of conv and linear weights")
      ->check(CLI::NonNegativeNumber);

  retraining.option("--retrain-epochs", s.retrain_epochs, "Epochs of each network")
      ->check(CLI::Range(1, 100000));
  retraining.option("--retrain-rate", s.retrain_rate, "Learning rate, falling by one cosine")
      ->check(CLI::PositiveNumber);
  retraining.option("--retrain-subset", o.retrain_subset,
                    "Images of D_train then; 0: all; -1: as --subset");
  retraining
      .text(
          "--retrain-ranks", [&o](const std::string& text) { o.retrain_ranks = ranks_of(text); },
          "When fewer networks are left to retrain than there are ranks, at most so many of them "
          "train one together, each with its share of --batch; auto: as many as there are")
      ->default_str("1");
  retraining.option("--retrain-cutout", s.retrain_cutout, "Side of a square cut out; 0: none")
      ->check(CLI::Range(0, 65536));
  retraining
      .option(
          "--controls", o.controls,
          "Random baselines: so many cells drawn at random, retrained and tested as the winner is")
      ->check(CLI::Range(0, 100000));

  add_device_options(app, o.child.device);
}

SearchSettings stored_settings(const std::string& folder) {
  SearchSettings settings;
  CLI::App app;
  parse_options_of(RunDirectory::open(folder), app, settings);
  settings.run.folder = folder;
  settings.run.resume = true;
  settings.space.clear();  // the run keeps what the files held
  settings.initial_genomes.clear();
  return settings;
}

StrategyOptions strategy_to_read(const SearchRunOptions& run) {
  StrategyOptions options = run.strategy;
  if (run.weigh_parameters) options.size = [](const Genome&) { return 0.0; };
  return options;
}

std::vector<std::pair<std::string, std::string>> options_of_run(const std::string& run) {
  SearchSettings settings;
  CLI::App app;
  parse_options_of(RunDirectory::open(run), app, settings);
  std::vector<std::pair<std::string, std::string>> options;
  for (const CLI::Option* option : app.get_options()) {
    const std::string name = option->get_name();
    if (!option->get_configurable() || name == "--config" || name == "--resume" ||
        name == "--quiet" || name == "--run" || name == "--recipe") {
      continue;
    }
    options.emplace_back(name, value_text(*option));
  }
  return options;
}

std::string command_of_run(const std::string& run, int ranks) {
  SearchSettings defaults;
  defaults.run.child.device.threads = 0;  // as renas-search has it
  CLI::App app;
  prepare(app);
  add_search_options(app, defaults);
  std::string command = ranks > 1 ? fmt::format("mpirun -np {} ", ranks) : "";
  command += "renas-search --run NEW_FOLDER";
  for (const auto& [name, value] : options_of_run(run)) {
    const CLI::Option& option = *app.get_option(name);
    const bool flag = value == "true" || value == "false";
    std::string usual = value_text(option);
    if (flag && usual.empty()) usual = "false";
    if (value == usual) continue;
    const bool plain =
        !value.empty() && value.find_first_of(" '\"\\$*?;&|<>()") == std::string::npos;
    command += " " + name;
    if (flag) {
      command += value == "true" ? "" : "=" + value;
    } else {
      command += plain ? " " + value : " '" + value + "'";
    }
  }
  return command;
}

SearchSettings settings_of_run(const CLI::App& given, const SearchSettings& from_command_line) {
  const RunDirectory run = RunDirectory::open(from_command_line.run.folder);
  SearchSettings stored;
  CLI::App app;
  parse_options_of(run, app, stored);
  // The library compares what the files of --space and --initial-genomes hold.
  const std::vector<std::string> free{"--run",
                                      "--resume",
                                      "--quiet",
                                      "--config",
                                      "--recipe",
                                      "--data",
                                      "--snapshot-seconds",
                                      "--drain",
                                      "--threads",
                                      "--streams",
                                      "--worker-timeout",
                                      "--max-attempts",
                                      "--io-patience",
                                      "--ranks-per-gpu",
                                      "--space",
                                      "--initial-genomes",
                                      "--plan"};
  bool replaced = false;
  bool retrains_alike = true;
  for (const CLI::Option* option : given.get_options()) {
    const std::string name = option->get_name();
    if (option->count() == 0 || std::find(free.begin(), free.end(), name) != free.end()) continue;
    const std::string now = value_text(*option);
    CLI::Option* known = app.get_option(name);
    const std::string then = value_text(*known);
    const bool of_retraining = name == "--controls" || name.starts_with("--retrain-");
    if (name == "--children" && from_command_line.run.children < stored.run.children) {
      throw InvalidInput(
          fmt::format("--children {}: the run in {} was started with {}, of which some may have "
                      "been done; a run "
                      "goes on with as many children or more",
                      now, run.path(), then));
    }
    if (now != then && (of_retraining || name == "--children")) {
      known->clear();
      for (const std::string& text : option->results()) known->add_result(text);
      known->run_callback();  // into `stored`
      replaced = true;
      retrains_alike = retrains_alike && !of_retraining;
      continue;
    }
    if (now != then) {
      throw InvalidInput(fmt::format(
          "{} {}: the run in {} was started with {}. Leave the option out to go on with that run, "
          "or start a new one in another folder.",
          name, now, run.path(), then));
    }
  }
  if (replaced) stored.run.stored_options = app.config_to_str(true, true);
  stored.run.retrains_alike = retrains_alike;
  stored.space = from_command_line.space;
  stored.initial_genomes = from_command_line.initial_genomes;
  stored.quiet = from_command_line.quiet;
  stored.plan = from_command_line.plan;
  stored.run.folder = from_command_line.run.folder;
  stored.run.resume = true;
  const auto override_by = [&](const char* name, auto& value, const auto& new_value) {
    if (given.get_option(name)->count() > 0) value = new_value;
  };
  const SearchRunOptions& now = from_command_line.run;
  override_by("--data", stored.run.data, now.data);  // the same images: the run knows them
  override_by("--snapshot-seconds", stored.run.snapshot_seconds, now.snapshot_seconds);
  override_by("--worker-timeout", stored.run.worker_timeout, now.worker_timeout);
  override_by("--max-attempts", stored.run.max_attempts, now.max_attempts);
  override_by("--io-patience", stored.run.io_patience, now.io_patience);
  override_by("--ranks-per-gpu", stored.ranks_per_gpu, from_command_line.ranks_per_gpu);
  override_by("--drain", stored.run.drain_seconds, now.drain_seconds);
  override_by("--threads", stored.run.child.device.threads, now.child.device.threads);
  override_by("--streams", stored.run.child.device.streams, now.child.device.streams);
  if (stored.run.data.empty()) {
    throw InvalidInput(
        fmt::format("{}: its options name no data set; name it by --data", run.path()));
  }
  return stored;
}

SearchSettings settings_to_replay(const CLI::App& given, const SearchSettings& from_command_line) {
  SearchSettings settings = stored_settings(from_command_line.replay);
  settings.replay = from_command_line.replay;
  settings.decisions_only = from_command_line.decisions_only;
  if (given.get_option("--data")->count() > 0) settings.run.data = from_command_line.run.data;
  settings.run.child.device.threads = from_command_line.run.child.device.threads;
  settings.run.child.device.streams = from_command_line.run.child.device.streams;
  return settings;
}

SearchRunOptions run_options(const SearchSettings& settings) {
  SearchRunOptions o = settings.run;
  o.operators = split_operators(settings.operators);
  add_inputs(settings, o);
  if (settings.learn_failures || settings.learn_refusals || settings.additive_attention) {
    ControllerOptions form = controller_options(o.strategy);
    form.learn_failures = settings.learn_failures;
    form.learn_refusals = settings.learn_refusals ? 8 : 0;
    form.attention = settings.additive_attention ? 16 : 0;
    o.strategy.controller_form = form;
  }
  o.balance_classes = settings.class_weights == "auto";
  o.child.network.class_weights = class_weights_of(settings.class_weights);
  o.final.fitness = o.child.fitness == Fitness::kLikelihood ? Fitness::kAccuracy : o.child.fitness;
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
  o.final.device = o.child.device;
  return o;
}

}  // namespace renas::cli
