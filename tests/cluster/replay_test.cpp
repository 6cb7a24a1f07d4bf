// A search is done again from its history, and planned before it is done.

#include "renas/replay.h"

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>

#include "renas/error.h"
#include "renas/search_plan.h"
#include "support/files.h"
#include "support/toy_file.h"
#include "support/toy_run.h"

using namespace renas;
using namespace renas::test;

namespace {

struct Fixture {
  TemporaryFolder folder;
  SearchRunOptions options;
  Fixture() {
    write_toy_file(folder / "data.h5");
    options = toy_options(folder, "run");
  }

  /// Writes the history anew, with whole checksums.
  void write(const std::vector<HistoryEntry>& history) const {
    std::ofstream out(options.folder + "/history.jsonl");
    for (const HistoryEntry& e : history) out << to_json(e) << "\n";
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(replays, Fixture)

BOOST_AUTO_TEST_CASE(a_search_is_done_again_to_the_bit) {
  run_alone(options);
  const std::string before = content_of(options.folder + "/history.jsonl");
  const Replay decisions = replay_search(options, true);
  BOOST_TEST(decisions.difference == "");
  BOOST_TEST(decisions.lines == 10);
  BOOST_TEST(decisions.trained == 0);
  const Replay whole = replay_search(options, false);
  BOOST_TEST(whole.difference == "");
  BOOST_TEST(whole.lines == 10);
  BOOST_TEST(whole.trained == 10);
  BOOST_TEST(whole.weights >= 4);  // the members' at the end
  BOOST_TEST(content_of(options.folder + "/history.jsonl") == before);
}

BOOST_AUTO_TEST_CASE(what_differs_is_named) {
  run_alone(options);
  const RunDirectory run = RunDirectory::open(options.folder);
  const std::vector<HistoryEntry> history = run.history();

  std::vector<HistoryEntry> other = history;
  other[5].fitness += 1e-9;
  write(other);
  const Replay fitness = replay_search(options, false);
  BOOST_TEST(fitness.lines == 5);
  BOOST_TEST(
      fitness.difference.find("history.jsonl:6: expected ok with fitness") != std::string::npos,
      fitness.difference);

  other = history;
  other[7].genome = history[0].genome;
  write(other);
  const Replay genome = replay_search(options, true);
  BOOST_TEST(genome.lines == 7);
  BOOST_TEST(genome.difference.find("history.jsonl:8: expected candidate") != std::string::npos,
             genome.difference);

  write(history);
  SearchRunOptions another = options;
  another.strategy.seed = 12;
  BOOST_TEST(replay_search(another, true).lines == 0);

  // The last member's weights in place of the first one's.
  std::vector<std::string> files;
  for (const HistoryEntry& e : history) {
    if (std::filesystem::exists(run.weights_file(e.id))) files.push_back(run.weights_file(e.id));
  }
  std::filesystem::copy_file(files.back(), files.front(),
                             std::filesystem::copy_options::overwrite_existing);
  BOOST_TEST(replay_search(options, false).difference.find(files.front()) != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_plan_says_what_a_search_takes) {
  SearchRunHooks hooks;
  hooks.memory = int64_t{1} << 40;
  const SearchPlan plan = plan_search(options, hooks, 0.2);
  BOOST_TEST(!plan.admitted);
  BOOST_TEST(plan.any.cells == 100);
  BOOST_TEST(plan.any.parameters.least > 0);
  BOOST_TEST(plan.any.parameters.least <= plan.any.parameters.median);
  BOOST_TEST(plan.any.parameters.median <= plan.any.parameters.most);
  BOOST_TEST(plan.images_per_second > 0);
  BOOST_TEST(plan.member_seconds > 0);
  BOOST_TEST(plan.search_seconds == 4 * plan.member_seconds + 6 * plan.child_seconds,
             boost::test_tools::tolerance(1e-9));
  BOOST_TEST(plan.final_seconds == 5 * plan.retrain_seconds, boost::test_tools::tolerance(1e-9));
  BOOST_TEST(plan.memory > 1000);
  BOOST_TEST(plan.memory_limit == int64_t{1} << 40);
  BOOST_TEST(!std::filesystem::exists(options.folder));

  // A child that inherits takes its own passes, any other those of a cell without a parent.
  SearchRunOptions longer = options;
  longer.child.initial_epochs = 50;
  const auto ratio = [&](const char* strategy, bool inherit) {
    longer.strategy.name = strategy;
    longer.child.inherit = inherit;
    const SearchPlan other = plan_search(longer, hooks, 0.2);
    return other.child_seconds / other.member_seconds;
  };
  BOOST_TEST(ratio("renas", true) < 0.9);
  BOOST_TEST(ratio("renas", false) == 1);
  BOOST_TEST(ratio("random", true) == 1);

  SearchRunOptions small = options;
  small.max_mult_adds = plan.any.mult_adds.median;
  const SearchPlan less = plan_search(small, hooks, 0.2);
  BOOST_REQUIRE(less.admitted.has_value());
  BOOST_TEST(less.admitted->mult_adds.most <= small.max_mult_adds);
  BOOST_TEST(less.search_seconds <= less.search_seconds_any);
  // The folder's true size is within what was said.
  run_alone(options);
  int64_t bytes = 0;
  for (const auto& file : std::filesystem::recursive_directory_iterator(options.folder)) {
    const std::string name = file.path().filename();
    if (file.is_regular_file() && !name.starts_with("search.")) {
      bytes += static_cast<int64_t>(file.file_size());
    }
  }
  BOOST_TEST(bytes <= plan.disk);
  BOOST_TEST(bytes * 20 > plan.disk);
}

BOOST_AUTO_TEST_SUITE_END()
