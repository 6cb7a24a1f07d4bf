// Ways to ask for a search: known cells, a space or a strategy of one's own, more children, an
// early end, another measure of fitness.

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <filesystem>
#include <functional>
#include <set>

#include "renas/error.h"
#include "renas/model.h"
#include "renas/replay.h"
#include "renas/run_directory.h"
#include "renas/search_run.h"
#include "support/files.h"
#include "support/temporary_folder.h"
#include "support/toy_file.h"
#include "support/toy_run.h"

using namespace renas;
using renas::test::bytes_of;
using renas::test::content_of;
using renas::test::history_of;
using renas::test::run_alone;
using renas::test::run_until;
using renas::test::TemporaryFolder;
using renas::test::toy_options;
using renas::test::write_toy_file;

namespace {

/// Runs until so many results are there, and then resumes.
void run_in_two(SearchRunOptions options, int64_t results) {
  run_until(options, results);
  options.resume = true;
  run_alone(options);
}

void refused(const SearchRunOptions& options, const std::string& part) {
  BOOST_CHECK_EXCEPTION(run_alone(options), InvalidInput, [&](const InvalidInput& e) {
    const bool holds = std::string(e.what()).find(part) != std::string::npos;
    BOOST_TEST(holds, "'" << e.what() << "' does not say '" << part << "'");
    return holds;
  });
}

/// Random search that remembers nothing but how many were asked: the least that a strategy must do.
class Enumeration final : public Strategy {
 public:
  Enumeration(const SearchSpace& space, int population)
      : space_(space), population_(static_cast<std::size_t>(population)) {}
  const SearchSpace& space() const override { return space_; }
  Candidate ask() override {
    Candidate c;
    c.id = asked_++;
    Random random(99, Purpose::kSearch, c.id);
    c.genome = random_genome(space_, random);
    out_.push_back(c);
    return c;
  }
  Told tell(uint64_t id, const Outcome& outcome) override {
    const auto at = std::find_if(out_.begin(), out_.end(), [&](auto& c) { return c.id == id; });
    Told told;
    if (outcome.status == Status::kOk) {
      members_.push_back({id, at->genome, outcome.fitness});
      told.joined = true;
      if (members_.size() > population_) {
        told.removed = members_.front().id;
        members_.erase(members_.begin());
      }
    }
    out_.erase(at);
    return told;
  }
  const std::vector<Member>& population() const override { return members_; }
  std::vector<Candidate> in_flight() const override { return out_; }
  bool keeps(uint64_t id) const override {
    return std::any_of(members_.begin(), members_.end(), [&](auto& m) { return m.id == id; });
  }
  std::optional<Member> best() const override {
    if (members_.empty()) return std::nullopt;
    return members_.back();
  }
  SearchCounts counts() const override { return {.asked = asked_}; }
  State save() const override { return {}; }
  void load(const State&) override { throw InvalidInput("replay the history"); }

 private:
  SearchSpace space_;
  std::size_t population_;
  uint64_t asked_ = 0;
  std::vector<Candidate> out_;
  std::vector<Member> members_;
};

struct Fixture {
  TemporaryFolder folder;
  Fixture() { write_toy_file(folder / "data.h5"); }

  /// Whether two runs found the same, and wrote the same result and model.
  void expect_same(const std::string& a, const std::string& b) const {
    BOOST_TEST(history_of(folder / a) == history_of(folder / b));
    BOOST_TEST(content_of(folder / (a + "/result.json")) ==
               content_of(folder / (b + "/result.json")));
    BOOST_TEST((bytes_of(folder / (a + "/best.h5")) == bytes_of(folder / (b + "/best.h5"))));
  }
  std::set<std::string> models(const std::string& name) const {
    std::set<std::string> names;
    for (const auto& e : std::filesystem::directory_iterator(folder / (name + "/retrain"))) {
      names.insert(e.path().filename().string());
    }
    return names;
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(search_ways, Fixture)

BOOST_AUTO_TEST_CASE(a_run_starts_from_known_cells_and_goes_on_with_no_others) {
  const SearchSpace space = SearchSpace::renas(2);
  const std::vector<std::string> known{"c-2:sep3x3+c-1:identity,1:max3x3+c-1:sep3x3",
                                       "c-1:avg3x3+c-1:identity,c-2:max3x3+1:sep3x3"};
  SearchRunOptions options = toy_options(folder, "whole");
  for (const std::string& text : known) {
    options.strategy.initial_genomes.push_back(parse_genome(space, text));
  }
  run_alone(options);
  const auto history = RunDirectory::open(options.folder).history();
  BOOST_TEST(history.size() == 10);
  BOOST_TEST(history[0].genome == known[0]);
  BOOST_TEST(history[1].genome == known[1]);

  options.folder = folder / "two";
  run_in_two(options, 1);
  expect_same("whole", "two");

  options.resume = true;
  options.strategy.initial_genomes.pop_back();
  refused(options, "initial_genomes");
  options.strategy.initial_genomes.clear();
  refused(options, known[1]);
}

BOOST_AUTO_TEST_CASE(a_run_searches_a_part_of_the_space_and_keeps_it) {
  SearchRunOptions options = toy_options(folder, "whole");
  options.space = SearchSpace::parse(
      "block\n operator o1 identity max3x3\n operator o2 avg3x3\n"
      "block\n input i1 1\n input i2 c-1\n operator o1 sep3x3\n operator o2 sep3x3\n",
      Notation::kCell);
  const SearchRunResult result = run_alone(options);
  for (const RetrainedNetwork& n : result.networks) {  // a control among them
    BOOST_TEST(n.genome.ends_with(",1:sep3x3+c-1:sep3x3"), n.genome);
  }
  for (const HistoryEntry& e : RunDirectory::open(options.folder).history()) {
    BOOST_CHECK_NO_THROW(parse_genome(*options.space, e.genome));
  }
  BOOST_TEST(*RunDirectory::open(options.folder).input("space") == options.space->to_text());
  options.folder = folder / "two";
  run_in_two(options, 6);
  expect_same("whole", "two");

  options.resume = true;
  options.space = SearchSpace::renas(2);
  refused(options, "/space");
  options.space.reset();
  refused(options, "/space");
  SearchRunOptions other = toy_options(folder, "other");
  other.space = SearchSpace::parse("block\n operator op a b\n");
  refused(other, "whose genomes become networks");
  BOOST_TEST(!std::filesystem::exists(other.folder));
}

BOOST_AUTO_TEST_CASE(a_run_searches_a_normal_and_a_reduction_cell) {
  SearchRunOptions options = toy_options(folder, "whole");
  options.cells_searched = 2;
  const SearchRunResult result = run_alone(options);
  const SearchSpace space = SearchSpace::pair(SearchSpace::renas(2), SearchSpace::renas(2));
  std::set<std::string> reductions;
  for (const HistoryEntry& e : RunDirectory::open(options.folder).history()) {
    BOOST_CHECK_NO_THROW(parse_genome(space, e.genome));
    BOOST_TEST(e.genome.starts_with("renas/"), e.genome);
    reductions.insert(e.genome.substr(e.genome.rfind('/')));
    if (e.status == Status::kOk && e.parent) BOOST_TEST(e.inherited > 0);
  }
  BOOST_TEST(reductions.size() > 4);
  const Model best = load_model(folder / "whole/best.h5");
  BOOST_TEST((count(graph_of(best)).parameters ==
              count(build_network(best.genome, best.network)).parameters));
  for (const RetrainedNetwork& n : result.networks) BOOST_CHECK_NO_THROW(space_of(n.genome));

  const Replay replay = replay_search(options, false);
  BOOST_TEST(replay.difference == "");
  BOOST_TEST(replay.trained == 10);

  options.folder = folder / "two";
  run_in_two(options, 5);
  expect_same("whole", "two");
  options.folder = folder / "without";  // of its snapshots
  run_until(options, 6);
  for (const char* name : {"search.h5", "search.previous.h5"}) {
    std::filesystem::remove(folder / (std::string("without/") + name));
  }
  options.resume = true;
  run_alone(options);
  expect_same("whole", "without");

  options.resume = false;
  options.folder = folder / "wrong";
  options.cells_searched = 3;
  refused(options, "cells_searched 3");
}

BOOST_AUTO_TEST_CASE(a_strategy_of_ones_own_searches_and_is_resumed_by_replay) {
  SearchRunOptions options = toy_options(folder, "whole");
  options.strategy.name = "enumeration";  // for people
  options.make_strategy = [](const SearchSpace& space, const StrategyOptions& o) {
    return std::make_unique<Enumeration>(space, o.population);
  };
  const SearchRunResult result = run_alone(options);
  BOOST_TEST(result.networks.size() == 5);
  const auto history = RunDirectory::open(options.folder).history();
  BOOST_TEST(history.size() == 10);
  for (const HistoryEntry& e : history) {
    Random random(99, Purpose::kSearch, e.id);
    const SearchSpace space = SearchSpace::renas(2);
    BOOST_TEST(e.genome == to_string(space, random_genome(space, random)));
  }
  options.folder = folder / "two";
  run_in_two(options, 5);
  expect_same("whole", "two");
}

BOOST_AUTO_TEST_CASE(more_children_on_a_finished_run_end_like_a_run_that_had_them_from_the_start) {
  SearchRunOptions whole = toy_options(folder, "whole");
  whole.children = 12;
  run_alone(whole);
  for (const int first : {0, 3, 8}) {
    const std::string name = "from" + std::to_string(first);
    SearchRunOptions options = toy_options(folder, name);
    options.children = first;
    run_alone(options);
    options.resume = true;
    for (const int children : {10, 12}) {
      options.children = children;
      options.stored_options = "children=" + std::to_string(children) + "\n";
      options.retrains_alike = true;
      run_alone(options);
    }
    expect_same("whole", name);
    BOOST_TEST(models("whole") == models(name), boost::test_tools::per_element());
    BOOST_TEST(RunDirectory::open(options.folder).options() == "children=12\n");
  }
  // A run that was stopped on its way may have more, too.
  SearchRunOptions stopped = toy_options(folder, "stopped");
  run_until(stopped, 6);
  stopped.children = 12;
  stopped.resume = true;
  run_alone(stopped);
  expect_same("whole", "stopped");
}

BOOST_AUTO_TEST_CASE(a_search_ends_once_nothing_gets_better) {
  SearchRunOptions whole = toy_options(folder, "whole");
  whole.children = 40;
  run_alone(whole);
  SearchRunOptions patient = whole;
  patient.folder = folder / "patient";
  patient.patience = 3;
  BOOST_TEST(run_alone(patient).finished);
  // The first children of the whole run, up to the third in a row that is not better.
  const auto all = RunDirectory::open(whole.folder).history();
  std::size_t end = 0;
  double best = -1;
  for (int since = 0; end < all.size() && since < 3; ++end) {
    const bool better = all[end].fitness > best;
    best = std::max(best, all[end].fitness);
    if (end >= 4) since = better ? 0 : since + 1;
  }
  BOOST_REQUIRE(end < all.size());
  const std::string found = history_of(patient);
  BOOST_TEST(history_of(whole).starts_with(found));
  BOOST_TEST(static_cast<std::size_t>(std::count(found.begin(), found.end(), '\n')) == end);

  SearchRunOptions two = patient;
  two.folder = folder / "two";
  run_in_two(two, static_cast<int64_t>(end) - 1);
  expect_same("patient", "two");

  patient.resume = true;
  BOOST_TEST(run_alone(patient).finished);
  patient.children = 50;
  refused(patient, "by its patience");
  expect_same("patient", "two");  // as it was
}

BOOST_AUTO_TEST_CASE(limits_of_the_run_hold_beside_those_of_ones_own) {
  SearchRunOptions options = toy_options(folder, "limits");
  options.max_mult_adds = 400000;
  options.strategy.admits = [](const Genome& genome) { return genome[2] != 0; };  // no sep3x3 first
  run_alone(options);
  const SearchSpace space = space_of(options);
  for (const HistoryEntry& entry : RunDirectory::open(options.folder).history()) {
    const Genome genome = parse_genome(space, entry.genome);
    BOOST_TEST(genome[2] != 0);
    NetworkOptions network = options.child.network;
    network.image = {1, 8, 8};
    network.classes = 3;
    BOOST_TEST(count(build_network(space, genome, network)).mult_adds <= options.max_mult_adds);
  }
  options = toy_options(folder, "sizes");
  options.weigh_parameters = true;
  options.strategy.size = [](const Genome&) { return 1.0; };
  refused(options, "weigh_parameters");
}

BOOST_AUTO_TEST_CASE(numbers_out_of_range_are_refused_before_there_is_a_folder) {
  const auto with = [&](const std::function<void(SearchRunOptions&)>& change,
                        const std::string& part) {
    SearchRunOptions options = toy_options(folder, "numbers");
    change(options);
    refused(options, part);
    BOOST_TEST(!std::filesystem::exists(options.folder));
  };
  with([](auto& o) { o.children = -30; }, "children -30: expected 0 or more");
  with([](auto& o) { o.patience = -1; }, "patience -1");
  with([](auto& o) { o.controls = -1; }, "controls -1");
  with([](auto& o) { o.max_attempts = 0; }, "max_attempts 0: expected 1 or more");
  with([](auto& o) { o.worker_timeout = 0; }, "worker_timeout 0");
  with([](auto& o) { o.time_budget = std::nan(""); }, "time_budget nan");
  with([](auto& o) { o.io_patience = -1; }, "io_patience -1");
}

BOOST_AUTO_TEST_CASE(cells_are_judged_by_balanced_accuracy_and_trained_with_class_weights) {
  SearchRunOptions options = toy_options(folder, "plain");
  options.child.network.filters = options.final.network.filters = 4;
  options.child.initial_epochs = 4;
  options.children = 2;
  run_alone(options);
  options.folder = folder / "balanced";
  options.child.fitness = options.final.fitness = Fitness::kBalancedAccuracy;
  options.child.network.class_weights = {0, 0, 1};  // all that counts is class 2
  options.final.network.class_weights = {0, 0, 1};
  const SearchRunResult result = run_alone(options);
  const auto winner = std::find_if(result.networks.begin(), result.networks.end(),
                                   [&](auto& n) { return n.name == result.winner; });
  for (const RetrainedNetwork& n : result.networks) {
    if (n.name.starts_with("control")) continue;
    BOOST_TEST(n.validation_balanced_accuracy.value() <=
               winner->validation_balanced_accuracy.value());
  }
  BOOST_TEST(winner->test_balanced_accuracy.has_value());
  BOOST_TEST(load_model(folder / "balanced/best.h5").validation_balanced_accuracy.value() ==
             winner->validation_balanced_accuracy.value());
  BOOST_TEST(history_of(folder / "plain") != history_of(folder / "balanced"));

  // The toy classes are as frequent, up to the images of D_val.
  options.folder = folder / "auto";
  options.balance_classes = true;
  BOOST_TEST(run_alone(options).finished);
}

BOOST_AUTO_TEST_SUITE_END()
