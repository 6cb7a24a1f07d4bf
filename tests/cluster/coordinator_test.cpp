#include "cluster/coordinator.h"

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <deque>
#include <functional>
#include <map>
#include <random>
#include <set>

#include "support/temporary_folder.h"
#include "support/toy_file.h"
#include "support/toy_run.h"

using namespace renas;
using renas::test::history_of;
using renas::test::TemporaryFolder;
using renas::test::toy_options;
using renas::test::write_toy_file;

namespace {

/// Ranks that train nothing: a candidate's fitness is a function of its genome, and which of them
/// is done next is drawn. They stop the run at its retraining, or after `results` of them.
class ScriptedRanks final : public Transport {
 public:
  ScriptedRanks(int ranks, unsigned seed, int results = 1 << 30)
      : ranks_(ranks), draw_(seed), results_(results) {}

  int rank() const override { return 0; }
  int ranks() const override { return ranks_; }

  void send_to_worker(int rank, const std::string& text) override {
    const Task task = decode_task(text);
    if (task.kind == Task::Kind::kRetrain) stop = true;
    if (task.kind == Task::Kind::kEvaluate || task.kind == Task::Kind::kRetrain) busy_[rank] = task;
  }

  std::optional<Message> next_from_workers() override {
    if (said_.empty() && !busy_.empty()) finish_one();
    if (said_.empty()) return std::nullopt;
    Message message = std::move(said_.front());
    said_.pop_front();
    return message;
  }

  void send_to_coordinator(const std::string&) override {}
  std::optional<std::string> next_from_coordinator() override { return std::nullopt; }

  /// All ranks report, with this identity of their data.
  void begin(const std::string& data) {
    for (int r = 0; r < ranks_; ++r) {
      say(r, {.kind = Report::Kind::kReady,
              .host = "toy",
              .data = r == misled ? "other images" : data});
    }
  }

  std::atomic<bool> stop{false};
  int leaving = -1;  ///< this rank leaves its first task, as a signal asks it to
  int misled = -1;   ///< this rank has another data set
  int failing = -1;  ///< this rank gives up at its next task

 private:
  void say(int rank, const Report& report) { said_.push_back({rank, encode(report)}); }

  void finish_one() {
    auto at = busy_.begin();
    std::advance(at, static_cast<std::ptrdiff_t>(draw_() % busy_.size()));
    const auto [rank, task] = *at;
    busy_.erase(at);
    Report report{.kind = Report::Kind::kDone, .task = name_of(task)};
    if (rank == leaving) {
      report.stopped = true;
    } else if (rank == failing) {
      report.kind = Report::Kind::kError;
      report.message = "out of memory";
    } else if (stop || results_-- <= 0) {
      stop = true;
      report.stopped = true;
    } else {
      report.fitness = static_cast<double>(std::hash<std::string>{}(task.genome) % 1000) / 1000;
    }
    say(rank, report);
  }

  int ranks_;
  std::mt19937 draw_;
  int results_;
  std::map<int, Task> busy_;
  std::deque<Message> said_;
};

void run(const SearchRunOptions& options, ScriptedRanks& ranks) {
  const RunSetup setup = make_setup(options);
  const SearchRunHooks hooks{&ranks.stop, nullptr, nullptr};
  Coordinator coordinator(setup, ranks, hooks);
  ranks.begin(setup.data_identity);
  coordinator.run();
}

struct Fixture {
  TemporaryFolder folder;
  Fixture() { write_toy_file(folder / "data.h5"); }

  SearchRunOptions options(const std::string& name, bool in_order) const {
    SearchRunOptions o = toy_options(folder, name);
    o.children = 30;
    o.in_order = in_order;
    return o;
  }
  std::string history(const std::string& name, bool in_order, unsigned seed) const {
    ScriptedRanks ranks(3, seed);
    run(options(name, in_order), ranks);
    return history_of(options(name, in_order));
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(coordinator, Fixture)

BOOST_AUTO_TEST_CASE(in_order_a_run_does_not_depend_on_who_is_fast) {
  const std::string first = history("first", true, 1);
  for (unsigned seed = 2; seed < 6; ++seed) {
    BOOST_TEST(history("run" + std::to_string(seed), true, seed) == first);
  }
  // Otherwise it does, or this would show nothing.
  BOOST_TEST(history("free1", false, 1) != history("free2", false, 2));
}

BOOST_AUTO_TEST_CASE(in_order_a_stopped_run_ends_like_one_that_was_not) {
  const std::string whole = history("whole", true, 1);
  SearchRunOptions pieces = options("pieces", true);
  for (unsigned session = 0; session < 12; ++session) {
    ScriptedRanks ranks(3, session, session < 11 ? 4 : 1000);
    run(pieces, ranks);
    pieces.resume = true;
  }
  BOOST_TEST(history_of(pieces) == whole);
}

BOOST_AUTO_TEST_CASE(what_a_lost_rank_had_is_done_by_others_once) {
  for (const bool in_order : {false, true}) {
    const SearchRunOptions o = options(in_order ? "ordered" : "free", in_order);
    ScriptedRanks ranks(3, 7);
    ranks.failing = 1;
    run(o, ranks);
    std::set<uint64_t> seen;
    for (const HistoryEntry& e : RunDirectory::open(o.folder).history()) {
      BOOST_TEST(e.rank != 1);
      BOOST_TEST(seen.insert(e.id).second);
    }
    BOOST_TEST(seen.size() == 34);
    BOOST_TEST(*seen.rbegin() == 33);
  }
}

BOOST_AUTO_TEST_CASE(ranks_that_are_all_stopped_by_signals_of_their_own_end_the_run_in_order) {
  const SearchRunOptions o = options("run", false);
  ScriptedRanks ranks(1, 7);
  ranks.leaving = 0;
  run(o, ranks);  // and does not throw
  BOOST_TEST(!ranks.stop);
  BOOST_TEST(RunDirectory::open(o.folder).history().empty());
}

BOOST_AUTO_TEST_CASE(a_rank_with_another_data_set_takes_no_part) {
  const SearchRunOptions o = options("run", false);
  ScriptedRanks ranks(3, 7);
  ranks.misled = 2;
  run(o, ranks);
  const auto history = RunDirectory::open(o.folder).history();
  BOOST_TEST(history.size() == 34);
  for (const HistoryEntry& e : history) BOOST_TEST(e.rank != 2);
}

BOOST_AUTO_TEST_SUITE_END()
