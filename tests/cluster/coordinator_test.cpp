#include "cluster/coordinator.h"

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <random>
#include <set>

#include "renas/error.h"
#include "renas/replay.h"
#include "store/attempt_log.h"
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
    if (task.kind == Task::Kind::kStop && rank != frozen && !frozen_by_.contains(rank) &&
        rank != 0) {
      say(rank, {.kind = Report::Kind::kBye});
    }
    if (rank == frozen || frozen_by_.contains(rank)) return;
    if (task.kind == Task::Kind::kEvaluate && task.id == freezing) {
      frozen_by_.insert(rank);
      return;
    }
    if (task.kind == Task::Kind::kRetrain) stop = true;
    if (task.kind == Task::Kind::kEvaluate) {
      suspects_out_ += suspects.contains(task.id);
      most_suspects_out = std::max(most_suspects_out, suspects_out_);
    }
    if (task.kind != Task::Kind::kEvaluate && task.kind != Task::Kind::kRetrain) return;
    begun_late += drain;
    busy_[rank] = task;
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
  std::atomic<bool> drain{false};
  int drain_after = -1;              ///< after so many results `drain` is set
  int begun_late = 0;                ///< tasks that were handed out after that
  std::set<uint64_t> suspects;       ///< ids of candidates whose being out is counted
  int most_suspects_out = 0;         ///< at one time
  std::string removing;              ///< this file goes away before the first result
  bool babbling = false;             ///< each result comes after one of an earlier handing out
  int frozen = -1;                   ///< this rank reports, and then never says a word
  uint64_t freezing = ~uint64_t{0};  ///< a rank that gets this candidate never says a word
  int leaving = -1;                  ///< this rank leaves its first task, as a signal asks it to
  int misled = -1;                   ///< this rank has another data set
  uint64_t breaking = ~uint64_t{0};  ///< a rank that gets this candidate gives up
  int failing = -1;                  ///< this rank gives up at its next task

 private:
  void say(int rank, const Report& report) { said_.push_back({rank, encode(report)}); }

  void finish_one() {
    if (!removing.empty()) std::filesystem::remove(removing);
    auto at = busy_.begin();
    std::advance(at, static_cast<std::ptrdiff_t>(draw_() % busy_.size()));
    const auto [rank, task] = *at;
    busy_.erase(at);
    suspects_out_ -= task.kind == Task::Kind::kEvaluate && suspects.contains(task.id);
    Report report{.kind = Report::Kind::kDone, .task = name_of(task), .serial = task.serial};
    if (babbling) {
      say(rank, {.kind = Report::Kind::kDone,
                 .task = report.task,
                 .serial = task.serial - 1,
                 .stopped = true});
    }
    if (rank == leaving) {
      report.stopped = true;
    } else if (rank == failing || (task.kind == Task::Kind::kEvaluate && task.id == breaking)) {
      report.kind = Report::Kind::kError;
      report.message = "out of memory";
    } else if (stop || results_-- <= 0) {
      stop = true;
      report.stopped = true;
    } else {
      if (--drain_after == 0) drain = true;
      report.fitness = static_cast<double>(std::hash<std::string>{}(task.genome) % 1000) / 1000;
    }
    say(rank, report);
  }

  int ranks_;
  std::set<int> frozen_by_;  ///< ranks that `freezing` has silenced
  int suspects_out_ = 0;
  std::mt19937 draw_;
  int results_;
  std::map<int, Task> busy_;
  std::deque<Message> said_;
};

/// Returns how many ranks did not leave in the end.
int run(const SearchRunOptions& options, ScriptedRanks& ranks) {
  const RunSetup setup = make_setup(options);
  int silent_ranks = -1;
  SearchRunHooks hooks;
  hooks.stop = &ranks.stop;
  hooks.silent_ranks = &silent_ranks;
  hooks.drain = &ranks.drain;
  WorkQueue queue(setup, std::make_unique<SearchJournal>(setup, ranks.ranks(), hooks.log), nullptr);
  Coordinator coordinator(setup, queue, ranks, hooks);
  ranks.begin(setup.data_identity);
  try {
    BOOST_TEST(coordinator.run() == silent_ranks);
  } catch (...) {
    BOOST_TEST(silent_ranks >= 0);  // said all the same
    throw;
  }
  return silent_ranks;
}

std::set<uint64_t> ids_of(const std::vector<HistoryEntry>& history, Status status) {
  std::set<uint64_t> ids;
  for (const HistoryEntry& e : history) {
    if (e.status == status) ids.insert(e.id);
  }
  return ids;
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
  // Each is replayed on one rank, whatever the order was in which results came.
  for (const bool in_order : {true, false}) {
    const SearchRunOptions o = options("replayed" + std::to_string(in_order), in_order);
    history("replayed" + std::to_string(in_order), in_order, 9);
    const Replay replay = replay_search(o, true);
    BOOST_TEST(replay.difference == "");
    BOOST_TEST(replay.lines == 34);
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

BOOST_AUTO_TEST_CASE(ranks_wait_for_parents_where_that_is_asked_for) {
  // 25 ranks begin, P is 4.
  const auto without_parent = [](const std::vector<HistoryEntry>& history) {
    return std::count_if(history.begin(), history.end(),
                         [](const HistoryEntry& e) { return !e.parent.has_value(); });
  };
  for (const bool in_order : {false, true}) {
    for (const bool wait : {false, true}) {
      SearchRunOptions o = options(in_order ? "ordered" : "free", in_order);
      o.folder += wait ? "-wait" : "";
      o.wait_for_parents = wait;
      ScriptedRanks ranks(25, 1);
      run(o, ranks);
      const auto history = RunDirectory::open(o.folder).history();
      BOOST_TEST(history.size() == 34);
      if (wait) BOOST_TEST(without_parent(history) == 4);
      if (!wait) BOOST_TEST(without_parent(history) >= 25);
      BOOST_TEST(replay_search(o, true).difference == "");
    }
  }
  // In order they wait alike whoever is fast, and across sessions.
  SearchRunOptions pieces = options("pieces", true);
  pieces.wait_for_parents = true;
  for (unsigned session = 0; session < 12; ++session) {
    ScriptedRanks ranks(25, session, session < 11 ? 3 : 1000);
    run(pieces, ranks);
    pieces.resume = true;
  }
  SearchRunOptions whole = options("ordered", true);
  whole.folder += "-wait";
  BOOST_TEST(history_of(pieces) == history_of(whole));
}

BOOST_AUTO_TEST_CASE(in_order_more_children_leave_what_was_done_as_it_would_have_been) {
  history("whole", true, 1);
  SearchRunOptions more = options("more", true);
  more.children = 20;
  {
    ScriptedRanks ranks(3, 2);
    run(more, ranks);  // to its end, and not into retraining
  }
  BOOST_TEST(RunDirectory::open(more.folder).search_over().has_value());
  more.resume = true;
  more.children = 30;
  ScriptedRanks ranks(3, 3);
  run(more, ranks);
  const auto whole = RunDirectory::open(options("whole", true).folder).history();
  const auto found = RunDirectory::open(more.folder).history();
  BOOST_REQUIRE(found.size() == 34);
  for (std::size_t i = 0; i < 24; ++i) {
    BOOST_TEST(found[i].genome == whole[i].genome);
    BOOST_TEST(found[i].fitness == whole[i].fitness);
  }
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

BOOST_AUTO_TEST_CASE(a_result_of_an_earlier_handing_out_does_not_count) {
  const SearchRunOptions o = options("run", false);
  ScriptedRanks ranks(3, 7);
  ranks.babbling = true;
  BOOST_TEST(run(o, ranks) == 0);
  std::set<int> at_work;
  const auto history = RunDirectory::open(o.folder).history();
  for (const HistoryEntry& e : history) at_work.insert(e.rank);
  BOOST_TEST(history.size() == 34);
  BOOST_TEST(at_work.size() == 3);  // none was taken for one that leaves
}

BOOST_AUTO_TEST_CASE(what_a_frozen_rank_had_is_done_by_another_and_the_rank_counts_in_the_end) {
  SearchRunOptions o = options("run", false);
  o.worker_timeout = 0.3;
  o.stop_grace = 0.1;
  ScriptedRanks ranks(3, 7);
  ranks.frozen = 2;
  BOOST_TEST(run(o, ranks) == 1);
  const auto history = RunDirectory::open(o.folder).history();
  BOOST_TEST(history.size() == 34);
  BOOST_TEST(ids_of(history, Status::kOk).size() == 34);
  for (const HistoryEntry& e : history) BOOST_TEST(e.rank != 2);
}

BOOST_AUTO_TEST_CASE(a_child_that_silences_its_rank_is_asked_again_once_and_then_lost) {
  for (const bool in_order : {false, true}) {
    SearchRunOptions o = options(in_order ? "ordered" : "free", in_order);
    o.worker_timeout = 0.3;
    o.stop_grace = 0.1;
    ScriptedRanks ranks(5, 7);
    ranks.failing = 0;  // rank 0 shares the coordinator's process, so it cannot fall silent alone
    ranks.freezing = 3;
    BOOST_TEST(run(o, ranks) == 2);
    const auto history = RunDirectory::open(o.folder).history();
    BOOST_TEST(history.size() == 34);
    BOOST_TEST((ids_of(history, Status::kLost) == std::set<uint64_t>{3}));
  }
}

BOOST_AUTO_TEST_CASE(a_child_that_breaks_the_device_of_two_ranks_is_lost_and_no_third_is_risked) {
  const SearchRunOptions o = options("run", false);
  ScriptedRanks ranks(4, 7);
  ranks.breaking = 5;
  run(o, ranks);
  const auto history = RunDirectory::open(o.folder).history();
  BOOST_TEST(history.size() == 34);
  BOOST_TEST((ids_of(history, Status::kLost) == std::set<uint64_t>{5}));
}

BOOST_AUTO_TEST_CASE(a_run_that_ends_by_an_error_blames_no_child) {
  const SearchRunOptions o = options("run", false);
  ScriptedRanks ranks(1, 7);
  ranks.failing = 0;
  BOOST_CHECK_THROW(run(o, ranks), Error);
  const AttemptLog attempts(RunDirectory::open(o.folder).attempts_file());
  for (int id = 0; id < 4; ++id) BOOST_TEST(attempts.unanswered(std::to_string(id)) == 0);
}

BOOST_AUTO_TEST_CASE(a_run_whose_history_is_gone_blames_none_of_the_children_that_were_out) {
  const SearchRunOptions o = options("run", false);
  ScriptedRanks ranks(3, 7);
  ranks.removing = o.folder + "/history.jsonl";
  BOOST_CHECK_THROW(run(o, ranks), IoError);
  const AttemptLog attempts(o.folder + "/attempts.jsonl");
  for (int id = 0; id < 4; ++id) BOOST_TEST(attempts.unanswered(std::to_string(id)) == 0);
}

BOOST_AUTO_TEST_CASE(what_killed_a_whole_job_is_tried_one_at_a_time) {
  SearchRunOptions o = options("run", false);
  {
    ScriptedRanks ranks(3, 7, 4);
    run(o, ranks);
  }
  o.resume = true;
  const std::vector<HistoryEntry> before = RunDirectory::open(o.folder).history();
  ScriptedRanks ranks(3, 7);
  {
    // Three candidates were out when all ranks were killed.
    AttemptLog attempts(RunDirectory::open(o.folder).attempts_file());
    for (uint64_t id = before.size(); id < before.size() + 3; ++id) {
      attempts.begin(std::to_string(id));
      ranks.suspects.insert(id);
    }
  }
  run(o, ranks);
  BOOST_TEST(ranks.most_suspects_out == 1);
  const auto history = RunDirectory::open(o.folder).history();
  BOOST_TEST(history.size() == 34);
  BOOST_TEST(ids_of(history, Status::kLost).empty());
}

BOOST_AUTO_TEST_CASE(ranks_that_are_all_stopped_by_signals_of_their_own_end_the_run_in_order) {
  const SearchRunOptions o = options("run", false);
  ScriptedRanks ranks(1, 7);
  ranks.leaving = 0;
  run(o, ranks);  // and does not throw
  BOOST_TEST(!ranks.stop);
  BOOST_TEST(RunDirectory::open(o.folder).history().empty());
}

BOOST_AUTO_TEST_CASE(a_run_that_is_drained_ends_what_is_under_way_and_begins_no_more) {
  SearchRunOptions o = options("run", false);
  o.drain_seconds = 600;
  ScriptedRanks ranks(3, 7);
  ranks.drain_after = 5;
  run(o, ranks);
  BOOST_TEST(ranks.begun_late == 0);
  const auto history = RunDirectory::open(o.folder).history();
  BOOST_TEST(history.size() == history.back().asked);  // none that was begun is missing
  BOOST_TEST(history.size() >= 5);
  BOOST_TEST(history.size() <= 7);

  // What takes too long is left, and done by the next start.
  o.resume = true;
  o.drain_seconds = 0.1;
  o.stop_grace = 0.1;
  ScriptedRanks slow(3, 7);
  slow.frozen = 2;
  slow.drain_after = 5;
  run(o, slow);
  const auto later = RunDirectory::open(o.folder).history();
  BOOST_TEST(later.size() + 1 == later.back().asked);
  ScriptedRanks rest(3, 7);
  run(o, rest);
  BOOST_TEST(ids_of(RunDirectory::open(o.folder).history(), Status::kOk).size() == 34);
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
