// renas-bench fitness makes a bank of real cells and tells how well fitness ranks them.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench/bench.h"
#include "bench/fitness_bank.h"
#include "cli/environment.h"
#include "cli/options.h"
#include "renas/backend.h"
#include "renas/error.h"
#include "renas/evaluation.h"
#include "renas/genome.h"
#include "renas/graph.h"

namespace {

using nlohmann::json;
using renas::Genome;
using renas::Purpose;
using renas::Random;

struct Settings {
  std::string data;
  std::string bank;
  std::vector<std::string> protocols{"base"};
  bool report = false;
  bool fill_losses = false;
  uint64_t seed = 1;
  int blocks = 5;
  int random = 24;
  int parents = 6;
  int children = 10;
  int64_t max_mult_adds = 9000000;
  int64_t subset = 2000;
  int64_t validation = 2000;
  int truth_seeds = 2;
  int truth_epochs = 3;
  int64_t truth_subset = 8000;
  int64_t test = 0;
  renas::ChildOptions child;
};

/// A way of training a child.
struct Protocol {
  const char* name;
  const char* help;
  int epochs = 1;       // passes of a child
  uint64_t round = 0;   // another one draws other random numbers
  bool anneal = false;  // ChildOptions::anneal_children
  double new_rate = 0.01;
  double inherited_rate = 0.001;
  bool inherits = true;    // false: it is trained as a random cell is
  int initial_epochs = 0;  // without inheritance: passes of children and random cells; 0: as ever
};
constexpr Protocol kProtocols[] = {
    {.name = "base", .help = "from the parent, one pass, as in the paper"},
    {.name = "again", .help = "the same with other random numbers", .round = 1},
    {.name = "two-passes", .help = "two passes", .epochs = 2},
    {.name = "four-passes", .help = "four passes", .epochs = 4},
    {.name = "annealed", .help = "one pass, rates fall to 0 by a cosine", .anneal = true},
    {.name = "annealed-two", .help = "two such passes", .epochs = 2, .anneal = true},
    {.name = "lively",
     .help = "one such pass at higher rates, 0.03 and 0.01",
     .anneal = true,
     .new_rate = 0.03,
     .inherited_rate = 0.01},
    {.name = "frozen", .help = "one pass, inherited parameters stay", .inherited_rate = 0},
    {.name = "anew", .help = "no inheritance, trained as random cells are", .inherits = false},
    {.name = "anew-once",
     .help = "no inheritance, one pass by a cosine",
     .inherits = false,
     .initial_epochs = 1},
    {.name = "anew-twice", .help = "two such passes", .inherits = false, .initial_epochs = 2}};

/// Makes a bank, step by step. Each step looks whether its line is there.
class Making {
 public:
  explicit Making(const Settings& settings)
      : s_(settings),
        space_(renas::SearchSpace::renas(s_.blocks)),
        search_(renas::open_search_data(s_.data, s_.validation, s_.subset, s_.seed)),
        final_(renas::open_search_data(s_.data, s_.validation, s_.truth_subset, s_.seed)),
        test_(renas::DataSet::open(s_.data, "test")),
        backend_(renas::make_backend(s_.child.device)),
        bank_(s_.bank, options()) {
    s_.child.network.image = search_.images.shape();
    s_.child.network.classes = search_.images.classes();
  }

  void run() {
    make_random_cells();
    make_children();
    find_gradients();
    for (const std::string& name : s_.protocols) {
      run_protocol(*std::find_if(std::begin(kProtocols), std::end(kProtocols),
                                 [&](const Protocol& p) { return name == p.name; }));
    }
    for (int seed = 0; seed < s_.truth_seeds; ++seed) find_truth(seed);
  }
  const FitnessBank& bank() const { return bank_; }

 private:
  /// What decides the lines of the bank.
  json options() const {
    return {{"seed", s_.seed},
            {"blocks", s_.blocks},
            {"random", s_.random},
            {"parents", s_.parents},
            {"children", s_.children},
            {"max_mult_adds", s_.max_mult_adds},
            {"subset", s_.subset},
            {"validation", s_.validation},
            {"truth_epochs", s_.truth_epochs},
            {"truth_subset", s_.truth_subset},
            {"test", s_.test},
            {"cells", s_.child.network.cells},
            {"filters", s_.child.network.filters},
            {"batch", s_.child.batch},
            {"initial_epochs", s_.child.initial_epochs},
            {"precision", renas::to_string(s_.child.device.precision)}};
  }

  bool admits(const Genome& genome) const {
    return s_.max_mult_adds == 0 ||
           renas::count(renas::build_network(space_, genome, s_.child.network)).mult_adds <=
               s_.max_mult_adds;
  }

  renas::Evaluation evaluate(const Genome& genome, uint64_t stream, const renas::Parent* parent,
                             const renas::ChildOptions& options) {
    return renas::evaluate_candidate(*backend_, space_, genome,
                                     Random(s_.seed, Purpose::kChild, stream), parent, search_,
                                     options);
  }

  void make_random_cells() {
    Random random(s_.seed, Purpose::kSearch);
    for (int i = 0; i < s_.random; ++i) {
      Genome genome;
      do genome = renas::random_genome(space_, random);
      while (!admits(genome));
      if (i < std::ssize(bank_.cells())) continue;
      const renas::Evaluation evaluation =
          evaluate(genome, static_cast<uint64_t>(i), nullptr, s_.child);
      bank_.add({{"cell", i},
                 {"genome", renas::to_string(space_, genome)},
                 {"fitness", evaluation.fitness},
                 {"loss", evaluation.score.loss},
                 {"parameters", evaluation.counts.parameters},
                 {"mult_adds", evaluation.counts.mult_adds}});
      say(fmt::format("random cell {} of {}: {:.2f} %", i + 1, s_.random,
                      100 * evaluation.fitness));
    }
  }

  /// The better half of the parents are the best random cells, the others those in the middle.
  std::vector<int64_t> parents() const {
    std::vector<FitnessBank::Cell> sorted(bank_.cells().begin(), bank_.cells().begin() + s_.random);
    std::stable_sort(sorted.begin(), sorted.end(),
                     [](const auto& a, const auto& b) { return a.fitness > b.fitness; });
    std::vector<int64_t> ids;
    const int best = (s_.parents + 1) / 2;
    for (int i = 0; i < best; ++i) ids.push_back(sorted[i].id);
    const int middle = std::max(best, s_.random / 2 - (s_.parents - best) / 2);
    for (int i = 0; i < s_.parents - best; ++i) ids.push_back(sorted[middle + i].id);
    return ids;
  }

  /// Children change 1, 2, ... slots, at most one a block, in turn.
  void make_children() {
    Random random(s_.seed, Purpose::kController);
    int64_t id = s_.random;
    for (const int64_t parent : parents()) {
      const Genome from = renas::parse_genome(space_, bank_.cells()[parent].genome);
      for (int c = 0; c < s_.children; ++c, ++id) {
        const int changes = 1 + c % space_.block_count();
        Genome genome;
        do genome = change(from, changes, random);
        while (!admits(genome));
        if (id < std::ssize(bank_.cells())) continue;
        bank_.add({{"cell", id},
                   {"parent", parent},
                   {"genome", renas::to_string(space_, genome)},
                   {"changes", changes}});
      }
    }
  }

  Genome change(Genome genome, int changes, Random& random) const {
    std::vector<int> blocks(space_.block_count());
    for (int b = 0; b < space_.block_count(); ++b) blocks[b] = b;
    random.shuffle(blocks);
    blocks.resize(changes);
    for (const int b : blocks) {
      const int first = space_.first_slot(b);
      const auto slots = static_cast<uint64_t>(space_.first_slot(b + 1) - first);
      const int slot = first + static_cast<int>(random.below(slots));
      const auto others = static_cast<uint64_t>(space_.slot(slot).choices.size() - 1);
      const int to = static_cast<int>(random.below(others));
      genome[slot] = to + (to >= genome[slot] ? 1 : 0);
    }
    return genome;
  }

  /// The gradient of every cell at a fresh initialisation, over one batch of training images.
  void find_gradients() {
    constexpr int kImages = 64;
    for (const FitnessBank::Cell& cell : bank_.cells()) {
      if (cell.gradient) continue;
      const renas::Graph graph =
          renas::build_network(space_, renas::parse_genome(space_, cell.genome), s_.child.network);
      Random random(s_.seed, Purpose::kInitialize, static_cast<uint64_t>(cell.id));
      const auto program = backend_->compile(graph, {.batch = kImages,
                                                     .threads = s_.child.device.threads,
                                                     .precision = s_.child.device.precision});
      program->load(renas::initialize(graph, random));
      renas::Loader loader(search_.images, search_.train,
                           {.batch = kImages, .seed = s_.seed, .augmentation = {}});
      loader.start(0);
      renas::HostBatch& batch = program->staging();
      batch.count = loader.next(batch.images, batch.labels);
      program->gradients({});
      double squares = 0;
      for (const auto& [name, gradient] : program->gradients_by_name()) {
        for (const float value : gradient.values) squares += double{value} * double{value};
      }
      bank_.add({{"initial_gradient", cell.id}, {"norm", std::sqrt(squares)}});
    }
  }

  void run_protocol(const Protocol& protocol) {
    const auto done = [&](int64_t id) {
      const auto found = bank_.results().find(protocol.name);
      if (found == bank_.results().end() || !found->second.contains(id)) return false;
      return found->second.at(id).loss.has_value() || !s_.fill_losses;
    };
    for (const int64_t id : parents()) {
      std::vector<FitnessBank::Cell> children;
      for (const FitnessBank::Cell& cell : bank_.cells()) {
        if (cell.parent == id && !done(cell.id)) children.push_back(cell);
      }
      if (children.empty()) continue;
      // The parent's weights are not kept: equal random numbers give them again.
      renas::Parent parent{renas::parse_genome(space_, bank_.cells()[id].genome), {}};
      if (protocol.inherits || !bank_.cells()[id].loss) {
        renas::Evaluation evaluation =
            evaluate(parent.genome, static_cast<uint64_t>(id), nullptr, s_.child);
        parent.weights = std::move(evaluation.weights);
        if (!bank_.cells()[id].loss) {
          bank_.add({{"random_loss", id}, {"loss", evaluation.score.loss}});
        }
      }
      for (const FitnessBank::Cell& child : children) {
        run_protocol_on(child, protocol.inherits ? &parent : nullptr, protocol);
      }
    }
    // Random cells are there as they were trained already, unless the protocol has other passes.
    if (protocol.inherits || protocol.initial_epochs == 0) return;
    for (const FitnessBank::Cell& cell : std::vector(bank_.cells())) {
      if (!cell.parent && !done(cell.id)) run_protocol_on(cell, nullptr, protocol);
    }
  }

  void run_protocol_on(const FitnessBank::Cell& cell, const renas::Parent* parent,
                       const Protocol& protocol) {
    renas::ChildOptions options = s_.child;
    options.child_epochs = protocol.epochs;
    if (protocol.initial_epochs > 0) options.initial_epochs = protocol.initial_epochs;
    options.anneal_children = protocol.anneal;
    options.new_rate = protocol.new_rate;
    options.inherited_rate = protocol.inherited_rate;
    const renas::Evaluation evaluation =
        evaluate(renas::parse_genome(space_, cell.genome),
                 static_cast<uint64_t>(cell.id) + 1000000 * protocol.round, parent, options);
    bank_.add({{"protocol", protocol.name},
               {"cell", cell.id},
               {"fitness", evaluation.fitness},
               {"loss", evaluation.score.loss},
               {"inherited", evaluation.inherited_share},
               {"images", evaluation.images}});
    say(cell.parent ? fmt::format("{}, child {} of {}: {:.2f} %", protocol.name, cell.id,
                                  *cell.parent, 100 * evaluation.fitness)
                    : fmt::format("{}, random cell {}: {:.2f} %", protocol.name, cell.id,
                                  100 * evaluation.fitness));
  }

  /// Trains parents and children from scratch, in random order, so that a part of them is a sample.
  void find_truth(int seed) {
    std::vector<int64_t> ids = parents();
    for (const FitnessBank::Cell& cell : bank_.cells()) {
      if (cell.parent) ids.push_back(cell.id);
    }
    Random order(s_.seed, Purpose::kRetrain);
    order.shuffle(ids);
    renas::FinalOptions options;
    options.network = s_.child.network;
    options.recipe.epochs = s_.truth_epochs;
    options.recipe.cosine_cycles = {s_.truth_epochs};
    options.batch = s_.child.batch;
    options.device = s_.child.device;
    renas::SearchData data = final_;
    data.validation.clear();
    std::vector<int64_t> images;
    for (int64_t i = 0; i < (s_.test > 0 ? s_.test : test_.size()); ++i) images.push_back(i);
    int count = 0;
    for (const int64_t id : ids) {
      ++count;
      if (bank_.cells()[id].truth.contains(seed)) continue;
      const Genome genome = renas::parse_genome(space_, bank_.cells()[id].genome);
      renas::FinalState state;
      state.training.seed =
          Random(s_.seed, Purpose::kRetrain, static_cast<uint64_t>(1 + seed)).bits64();
      const renas::Evaluation evaluation = renas::train_from_scratch(
          *backend_, space_, genome, state, data, options, {}, [](const renas::FinalState&) {});
      double accuracy = 0;
      if (evaluation.status == renas::Status::kOk) {
        accuracy =
            renas::score_network(*backend_, renas::build_network(space_, genome, options.network),
                                 evaluation.weights, test_, images,
                                 {.batch = 64,
                                  .device = options.device,
                                  .training = options.augmentation,
                                  .stop = {}})
                .accuracy;
      }
      bank_.add({{"truth", id}, {"seed", seed}, {"accuracy", accuracy}});
      say(fmt::format("truth {}, cell {} ({} of {}): {:.2f} %", seed, id, count, ids.size(),
                      100 * accuracy));
    }
  }

  static void say(const std::string& text) { fmt::print(stderr, "{}\n", text); }

  Settings s_;
  renas::SearchSpace space_;
  renas::SearchData search_, final_;
  renas::DataSet test_;
  std::unique_ptr<renas::Backend> backend_;
  FitnessBank bank_;
};

void run(Settings s) {
  if (s.report) return print_report(FitnessBank(s.bank));
  if (s.data.empty()) throw renas::InvalidInput("--data: expected a data set, or --report");
  if (s.parents > s.random / 2) {
    throw renas::InvalidInput(
        fmt::format("--parents {}: expected at most half of --random {}", s.parents, s.random));
  }
  if (s.child.device.threads == 0) s.child.device.threads = renas::cli::default_threads().count;
  Making making(s);
  making.run();
  print_report(making.bank());
}

}  // namespace

void add_fitness_bench(CLI::App& app) {
  CLI::App* sub = app.add_subcommand(
      "fitness",
      "Makes a bank of real cells, whose accuracy from scratch is known, and tells how well the "
      "fitness of children ranks them. A bank that is there is gone on with, cell by cell.");
  const auto s = std::make_shared<Settings>();
  s->child.inherit = true;
  s->child.initial_epochs = 5;
  s->child.network.cells = 1;
  s->child.network.filters = 8;
  s->child.batch = 16;
  sub->option_defaults()->always_capture_default();
  sub->add_option("--bank", s->bank, "the bank's file")->required()->type_name("FILE");
  sub->add_option("--data", s->data, "HDF5 data set with splits train and test")->type_name("FILE");
  sub->add_flag("--report", s->report, "only tell what the bank says");
  std::vector<std::string> names;
  std::string help = "ways of training the children";
  for (const Protocol& protocol : kProtocols) {
    names.emplace_back(protocol.name);
    help += fmt::format("{} {}: {}", names.size() == 1 ? ":" : ";", protocol.name, protocol.help);
  }
  sub->add_option("--protocol", s->protocols, help)->check(CLI::IsMember(names))->expected(1, 100);
  sub->add_flag("--fill-losses", s->fill_losses,
                "train children whose results are of an earlier version, which noted no loss, once "
                "more for it");
  sub->add_option("--seed", s->seed, "all randomness of the bank follows from it");
  sub->add_option("--blocks", s->blocks, "blocks B of a cell")->check(CLI::Range(1, 64));
  sub->add_option("--random", s->random, "random cells, of which parents are taken")
      ->check(CLI::Range(2, 100000));
  sub->add_option("--parents", s->parents,
                  "parents: the better half are the best of the random cells, the others those in "
                  "the middle")
      ->check(CLI::Range(1, 100000));
  sub->add_option("--children", s->children,
                  "children of each parent, with 1, 2, ... B changed slots in turn")
      ->check(CLI::Range(1, 100000));
  sub->add_option("--max-mult-adds", s->max_mult_adds, "limit of every cell; 0: none")
      ->check(CLI::NonNegativeNumber);
  sub->add_option("--subset", s->subset, "images that random cells and children are trained on")
      ->check(CLI::PositiveNumber);
  sub->add_option("--validation", s->validation, "images held out, which fitness is measured on")
      ->check(CLI::PositiveNumber);
  sub->add_option("--initial-epochs", s->child.initial_epochs, "passes of random cells")
      ->check(CLI::Range(1, 100000));
  sub->add_option("--truth-seeds", s->truth_seeds,
                  "trainings from scratch of each parent and each child")
      ->check(CLI::Range(0, 1000));
  sub->add_option("--truth-epochs", s->truth_epochs, "passes of each")->check(CLI::Range(1, 10000));
  sub->add_option("--truth-subset", s->truth_subset, "images of each pass")
      ->check(CLI::PositiveNumber);
  sub->add_option("--test", s->test, "test images, the first of their split; 0: all")
      ->check(CLI::NonNegativeNumber);
  sub->add_option("--batch", s->child.batch, "images a step")->check(CLI::Range(1, 65536));
  renas::cli::add_network_options(*sub, s->child.network);
  renas::cli::add_device_options(*sub, s->child.device);
  sub->footer(
      "Example:\n"
      "  renas-bench fitness --data cifar10.h5 --bank bank.jsonl --threads 1 --precision bf16");
  sub->callback([s] { run(*s); });
}
