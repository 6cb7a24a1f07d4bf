// The rank's side of a run, and what the coordinator knows of ranks.

#include "cluster/worker.h"

#include <boost/test/unit_test.hpp>
#include <deque>

#include "cluster/coordinator_connection.h"
#include "cluster/messages.h"
#include "cluster/retrain_id.h"
#include "cluster/worker_pool.h"
#include "renas/error.h"
#include "support/temporary_folder.h"
#include "support/toy_file.h"
#include "support/toy_run.h"

using namespace renas;
using namespace renas::test;

namespace {

/// Rank 1 of two; what rank 0 says is scripted.
class ScriptedCoordinator final : public Transport {
 public:
  /// Called with each report; returns what to answer.
  std::function<std::vector<Task>(const Report&)> answer;

  int rank() const override { return 1; }
  int ranks() const override { return 2; }
  void send_to_worker(int, const std::string&) override {}
  std::optional<Message> next_from_workers() override { return std::nullopt; }
  void send_to_coordinator(const std::string& text) override {
    reports.push_back(decode_report(text));
    if (!answer) return;
    for (const Task& task : answer(reports.back())) said_.push_back(encode(task));
  }
  std::optional<std::string> next_from_coordinator() override {
    if (said_.empty()) return std::nullopt;
    std::string text = said_.front();
    said_.pop_front();
    return text;
  }

  std::vector<Report> reports;

 private:
  std::deque<std::string> said_;
};

struct Fixture {
  TemporaryFolder folder;
  SearchRunOptions options;
  ScriptedCoordinator coordinator;
  std::unique_ptr<Backend> backend = make_backend({"reference"});

  Fixture() {
    write_toy_file(folder / "data.h5");
    options = toy_options(folder, "run");
    RunDirectory::create(options.folder, "");
  }
};

const std::string kGenome = "c-2:sep3x3+c-1:identity,1:max3x3+c-1:sep3x3";

}  // namespace

BOOST_FIXTURE_TEST_SUITE(workers, Fixture)

BOOST_AUTO_TEST_CASE(a_task_that_was_given_away_is_dropped) {
  options.child.initial_epochs = 5000;  // minutes, where it is not dropped
  coordinator.answer = [](const Report& report) -> std::vector<Task> {
    switch (report.kind) {
      case Report::Kind::kReady:
        return {{.kind = Task::Kind::kEvaluate, .id = 7, .genome = kGenome, .serial = 5}};
      case Report::Kind::kProgress:
        return {{.kind = Task::Kind::kDrop, .serial = 4},  // another's: goes on
                {.kind = Task::Kind::kDrop, .serial = report.serial}};
      case Report::Kind::kBye:
        return {};
      default:
        return {{.kind = Task::Kind::kStop}};
    }
  };
  run_worker(*backend, make_setup(options), coordinator, {});
  const Report& done = coordinator.reports.at(coordinator.reports.size() - 2);
  BOOST_TEST(done.stopped);
  BOOST_TEST(done.task == "7");
  BOOST_TEST(done.serial == 5);
  BOOST_TEST((coordinator.reports.back().kind == Report::Kind::kBye));
  BOOST_TEST(!std::filesystem::exists(options.folder + "/weights/7.h5"));
}

BOOST_AUTO_TEST_CASE(a_coordinator_that_is_gone_is_given_up) {
  options.worker_timeout = 0.05;
  BOOST_CHECK_THROW(run_worker(*backend, make_setup(options), coordinator, {}), CoordinatorLost);
  // Also by a rank that only waits to be told to stop, and through run_search.
  BOOST_CHECK_THROW(report_failure(options, coordinator, Error("no device")), CoordinatorLost);
  BOOST_TEST(run_search(options, coordinator, {}).silent_ranks == 1);
}

BOOST_AUTO_TEST_CASE(a_network_that_needs_more_memory_than_there_is_is_not_begun) {
  options.child.initial_epochs = 5000;
  options.final.recipe.epochs = 5000;
  SearchRunHooks hooks;
  hooks.memory = 1 << 16;
  for (const Task::Kind kind : {Task::Kind::kEvaluate, Task::Kind::kRetrain}) {
    coordinator.reports.clear();
    coordinator.answer = [&](const Report& report) -> std::vector<Task> {
      if (report.kind == Report::Kind::kReady) {
        return {{.kind = kind, .id = 7, .genome = kGenome, .name = "7"}};
      }
      if (report.kind == Report::Kind::kDone) return {{.kind = Task::Kind::kStop}};
      return {};
    };
    run_worker(*backend, make_setup(options), coordinator, hooks);
    const Report& done = coordinator.reports.at(coordinator.reports.size() - 2);
    BOOST_TEST((done.status == Status::kOutOfMemory));
    BOOST_TEST(done.images == 0);
    BOOST_TEST(done.counts.parameters > 0);
    BOOST_TEST(done.message.find("not begun") != std::string::npos, done.message);
  }
}

BOOST_AUTO_TEST_CASE(a_rank_whose_files_fail_hands_its_task_back) {
  std::filesystem::remove_all(options.folder + "/weights");  // nothing can be saved there
  options.io_patience = 2.5;
  coordinator.answer = [](const Report& report) -> std::vector<Task> {
    if (report.kind == Report::Kind::kReady) {
      return {{.kind = Task::Kind::kEvaluate, .id = 7, .genome = kGenome}};
    }
    if (report.kind == Report::Kind::kError) return {{.kind = Task::Kind::kStop}};
    return {};
  };
  run_worker(*backend, make_setup(options), coordinator, {});
  const Report& last = coordinator.reports.at(coordinator.reports.size() - 2);
  BOOST_TEST((last.kind == Report::Kind::kError));
  BOOST_TEST(last.may_return);
  BOOST_TEST(last.mistake);
  BOOST_TEST(last.task == "7");
  BOOST_TEST(last.message.find("weights/7.h5") != std::string::npos);
  // While it tries again it does not fall silent.
  const auto progress = std::count_if(
      coordinator.reports.begin(), coordinator.reports.end(),
      [](const Report& r) { return r.kind == Report::Kind::kProgress && r.task == "7"; });
  BOOST_TEST(progress >= 2);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(worker_pools)

BOOST_AUTO_TEST_CASE(only_busy_ranks_that_say_nothing_are_given_up) {
  using std::chrono::seconds;
  WorkerPool::Time now{};
  WorkerPool pool(4, 10, now);
  for (int r = 0; r < 3; ++r) pool.becomes_ready(r, "host");
  BOOST_TEST(pool.not_heard_of() == std::vector<int>{3}, boost::test_tools::per_element());
  for (const int r : {0, 1}) pool.assign({r}, "5", Candidate{}, now);
  const auto look = [&](int until) {
    std::vector<int> silent;
    for (int s = 0; s < until; s += 4) {
      now += seconds(4);
      for (const int r : pool.newly_silent(now)) silent.push_back(r);
    }
    return silent;
  };
  BOOST_TEST(look(8).empty());
  BOOST_TEST(look(8) == std::vector<int>{1}, boost::test_tools::per_element());  // and never rank 0
  BOOST_TEST(look(8).empty());                                                   // once
  BOOST_TEST(pool[1].silent);
  BOOST_TEST(!pool.is_free(1));
  BOOST_TEST(pool.take(1).has_value());
  pool.is_back(1);
  BOOST_TEST(pool.is_free(1));
}

BOOST_AUTO_TEST_CASE(a_coordinator_that_was_suspended_blames_nobody) {
  using std::chrono::seconds;
  WorkerPool::Time now{};
  WorkerPool pool(2, 10, now);
  pool.becomes_ready(1, "host");
  pool.assign({1}, "5", Candidate{}, now);
  BOOST_TEST(pool.newly_silent(now + seconds(1000)).empty());
}

BOOST_AUTO_TEST_CASE(names_of_networks_come_back) {
  for (const std::string name : {"0", "12", "control1", "control30"}) {
    BOOST_TEST(to_string(parse_retrain_id(name)) == name);
  }
  for (const std::string name : {"", "control", "x", "12x", "-1"}) {
    BOOST_CHECK_THROW(parse_retrain_id(name), InvalidInput);
  }
}

BOOST_AUTO_TEST_SUITE_END()
