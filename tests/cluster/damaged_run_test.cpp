// Runs whose files were damaged, lost or exchanged between two sessions: a fault costs what it
// touched, and is said.

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "renas/error.h"
#include "renas/model.h"
#include "renas/search_run.h"
#include "store/attempt_log.h"
#include "support/files.h"
#include "support/temporary_folder.h"
#include "support/toy_file.h"
#include "support/toy_run.h"

namespace fs = std::filesystem;
using namespace renas;
using namespace renas::test;

namespace {

void write(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream in(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

void write_lines(const std::string& path, const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  write(path, text);
}

void flip_middle(const std::string& path) {
  std::string bytes = content_of(path);
  bytes[bytes.size() / 2] ^= 1;
  write(path, bytes);
}

/// The middle byte of a model may stand in a gap between its arrays, so that nothing is damaged.
void flip_much(const std::string& path) {
  std::string bytes = content_of(path);
  for (std::size_t i = bytes.size() / 4; i < 3 * bytes.size() / 4; i += 50) bytes[i] ^= 1;
  write(path, bytes);
}

/// A toy search, its undisturbed history, and a second run that was stopped after six results.
struct Stopped {
  TemporaryFolder folder;
  SearchRunOptions whole;
  SearchRunOptions cut;
  std::string warnings;  ///< of the last session

  Stopped() {
    write_toy_file(folder / "data.h5");
    whole = toy_options(folder, "whole");
    go(whole);
    cut = toy_options(folder, "cut");
    go(cut, 6);
    BOOST_REQUIRE(RunDirectory::open(cut.folder).history().size() == 6);
    cut.resume = true;
  }

  /// Stops after `results` results of this session.
  SearchRunResult go(const SearchRunOptions& options, int results = 1 << 30) {
    std::mutex mutex;
    std::atomic<bool> stop{false};
    warnings.clear();
    const Log log = [&](LogLevel level, std::string_view text) {
      const std::lock_guard lock(mutex);
      if (level >= LogLevel::kWarning) warnings += std::string(text) + "\n";
      const bool is_result = level == LogLevel::kDebug && text.starts_with("candidate ");
      if (is_result && --results <= 0) stop = true;
    };
    const auto transport = make_local_transport();
    return run_search(options, *transport, {&stop, nullptr, log});
  }

  void refused(const std::string& part) {
    BOOST_CHECK_EXCEPTION(go(cut), Error, [&](const Error& e) {
      const bool holds = std::string(e.what()).find(part) != std::string::npos;
      BOOST_TEST(holds, "'" << e.what() << "' does not say '" << part << "'");
      return holds;
    });
  }
  void warned(const std::string& part) {
    BOOST_TEST(warnings.find(part) != std::string::npos,
               "'" << warnings << "' does not say '" << part << "'");
  }
  void expect_same() {
    BOOST_TEST(history_of(cut) == history_of(whole));
    BOOST_TEST((content_of(cut.folder + "/best.h5") == content_of(whole.folder + "/best.h5")));
  }
  std::string file(const std::string& name) const { return cut.folder + "/" + name; }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(damaged_runs, Stopped)

BOOST_AUTO_TEST_CASE(exchanged_and_repeated_lines_are_put_in_order) {
  auto lines = lines_of(file("history.jsonl"));
  std::swap(lines[1], lines[4]);
  lines.push_back(lines[2]);
  write_lines(file("history.jsonl"), lines);
  go(cut);
  warned("another order");
  warned("twice");
  expect_same();
  BOOST_TEST(fs::exists(file("history.jsonl.damaged")));
}

BOOST_AUTO_TEST_CASE(a_flipped_bit_of_a_line_is_mended) {
  flip_middle(file("history.jsonl"));
  go(cut);
  warned("flipped bit");
  expect_same();
}

BOOST_AUTO_TEST_CASE(a_lost_line_costs_nothing_where_the_snapshot_includes_it) {
  auto lines = lines_of(file("history.jsonl"));
  lines.erase(lines.begin() + 2);
  write_lines(file("history.jsonl"), lines);
  go(cut);
  warned("history.jsonl:3");
  BOOST_TEST((content_of(cut.folder + "/best.h5") == content_of(whole.folder + "/best.h5")));
  const History history = RunDirectory::open(cut.folder).read_history();
  BOOST_TEST(history.missing == std::vector<uint64_t>{2}, boost::test_tools::per_element());
  BOOST_TEST(history.lines == 10);
}

BOOST_AUTO_TEST_CASE(behind_the_snapshot_a_lost_line_costs_the_results_from_there_on) {
  const std::string snapshot = content_of(file("search.h5"));
  const auto before = lines_of(file("history.jsonl")).size();
  go(cut, 1);
  write(file("search.h5"), snapshot);
  auto lines = lines_of(file("history.jsonl"));
  BOOST_REQUIRE(lines.size() > before);
  lines[before] = "{\"line\":" + std::string(300, 'x') + "}";
  write_lines(file("history.jsonl"), lines);
  go(cut);
  warned("done again");
  BOOST_TEST(RunDirectory::open(cut.folder).history().size() == 10);
  // Where a member had gone meanwhile, its children could not inherit, and the history says so.
  const std::string history = history_of(cut);
  BOOST_TEST(
      (history == history_of(whole) || history.find("trained from scratch") != std::string::npos));
}

BOOST_AUTO_TEST_CASE(without_a_snapshot_a_lost_line_is_refused_with_a_way_out) {
  const auto lines = lines_of(file("history.jsonl"));
  auto fewer = lines;
  fewer.erase(fewer.begin() + 2);
  write_lines(file("history.jsonl"), fewer);
  fs::remove(file("search.h5"));
  fs::remove(file("search.previous.h5"));
  refused("keep the first 2 lines");
  BOOST_TEST(lines_of(file("history.jsonl")).size() == fewer.size());
  write_lines(file("history.jsonl"), {lines[0], lines[1]});
  go(cut);
  // Weights of members that were already gone cost their children the inheritance, and no more.
  BOOST_TEST(RunDirectory::open(cut.folder).history().size() == 10);
}

BOOST_AUTO_TEST_CASE(a_history_that_lost_its_end_is_refused_while_the_snapshot_knows_of_it) {
  auto lines = lines_of(file("history.jsonl"));
  lines.pop_back();
  write_lines(file("history.jsonl"), lines);
  refused("remove search.h5 and search.previous.h5 to replay");
  fs::remove(file("search.h5"));
  fs::remove(file("search.previous.h5"));
  go(cut);
  BOOST_TEST(RunDirectory::open(cut.folder).history().size() == 10);
}

BOOST_AUTO_TEST_CASE(where_the_last_snapshot_is_damaged_the_one_before_it_is_used) {
  flip_middle(file("search.h5"));
  // Without this line only a snapshot can bring the run back.
  auto lines = lines_of(file("history.jsonl"));
  lines.front().clear();
  write_lines(file("history.jsonl"), lines);
  go(cut);
  warned("going on from the snapshot before it");
  BOOST_TEST(content_of(whole.folder + "/best.h5") == content_of(cut.folder + "/best.h5"));
}

BOOST_AUTO_TEST_CASE(a_process_killed_between_two_snapshots_leaves_one) {
  fs::remove(file("search.h5"));
  go(cut);
  warned("search.h5: cannot open: it is gone; going on from the snapshot before it");
  expect_same();
}

BOOST_AUTO_TEST_CASE(damaged_snapshots_cost_time_only) {
  flip_middle(file("search.h5"));
  flip_middle(file("search.previous.h5"));
  go(cut);
  warned("replaying the whole history");
  expect_same();
}

BOOST_AUTO_TEST_CASE(a_snapshot_of_other_arrays_costs_time_only) {
  const RunDirectory run = RunDirectory::open(cut.folder);
  Snapshot snapshot = *run.load_snapshot();
  snapshot.strategy.erase("members/id");
  run.save_snapshot(snapshot);
  go(cut);
  warned("members/id");
  expect_same();
}

BOOST_AUTO_TEST_CASE(a_history_of_other_options_is_refused) {
  write(file("history.jsonl"), content_of(whole.folder + "/history.jsonl"));
  fs::remove(file("search.h5"));
  fs::remove(file("search.previous.h5"));
  cut.strategy.seed = 12;
  refused("the history is not of a run with these options");
}

BOOST_AUTO_TEST_CASE(weights_that_are_lost_cost_their_children_the_inheritance) {
  for (const bool remove : {false, true}) {
    cut = toy_options(folder, remove ? "removed" : "flipped");
    go(cut, 5);
    cut.resume = true;
    for (const auto& entry : fs::directory_iterator(cut.folder + "/weights")) {
      if (remove) {
        fs::remove(entry.path());
      } else {
        flip_middle(entry.path());
      }
    }
    BOOST_TEST(go(cut).finished);
    warned("cannot be used");
    int from_scratch = 0;
    for (const HistoryEntry& e : RunDirectory::open(cut.folder).history()) {
      BOOST_TEST((e.status == Status::kOk));
      if (e.message.empty()) continue;
      ++from_scratch;
      BOOST_TEST(e.message.find("trained from scratch") != std::string::npos);
      BOOST_TEST(e.inherited == 0);
    }
    BOOST_TEST(from_scratch > 0);
  }
}

BOOST_AUTO_TEST_CASE(weights_of_another_member_are_not_taken_for_the_parents) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(file("weights"))) files.push_back(entry.path());
  BOOST_REQUIRE(files.size() >= 2);
  fs::rename(files[0], file("weights/x"));
  fs::copy_file(files[1], files[0]);
  for (std::size_t i = 2; i < files.size(); ++i) {
    fs::copy_file(files[1], files[i], fs::copy_options::overwrite_existing);
  }
  BOOST_TEST(go(cut).finished);
  warned("found those of");
}

BOOST_AUTO_TEST_CASE(models_of_the_retraining_that_are_damaged_are_trained_again) {
  go(cut);
  const std::string winner = RunDirectory::open(cut.folder).load_result()->winner;
  fs::remove(file("result.json"));
  fs::remove(file("best.h5"));
  flip_much(file("retrain/" + winner + ".h5"));
  write(file("retrain/control1.checkpoint.h5"), "left over");
  go(cut);
  warned("training it again");
  expect_same();
  BOOST_TEST(!fs::exists(file("retrain/control1.checkpoint.h5")));
}

BOOST_AUTO_TEST_CASE(a_finished_run_restores_its_best_model_and_its_result) {
  go(cut);
  const std::string result = content_of(file("result.json"));
  fs::remove(file("best.h5"));
  go(cut);
  warned("restored");
  expect_same();
  flip_much(file("best.h5"));
  go(cut);
  expect_same();
  RunResult other = *RunDirectory::open(cut.folder).load_result();
  other.networks[0].validation_accuracy += 0.01;
  RunDirectory::open(cut.folder).save_result(other);
  go(cut);
  warned("of other networks");
  BOOST_TEST(content_of(file("result.json")) == result);
  write(file("result.json"), result.substr(0, result.size() / 2));
  go(cut);
  warned("result.json");
  BOOST_TEST(content_of(file("result.json")) == result);
}

BOOST_AUTO_TEST_CASE(a_child_that_killed_its_process_twice_is_lost) {
  const uint64_t next = RunDirectory::open(cut.folder).history().size();
  {
    AttemptLog attempts(RunDirectory::open(cut.folder).attempts_file());
    attempts.begin(std::to_string(next));
    attempts.begin(std::to_string(next));
  }
  go(cut);
  warned("counts as lost");
  int lost = 0;
  for (const HistoryEntry& e : RunDirectory::open(cut.folder).history()) {
    lost += e.status == Status::kLost;
    if (e.status == Status::kLost) BOOST_TEST(e.id == next);
  }
  BOOST_TEST(lost == 1);
  BOOST_TEST(RunDirectory::open(cut.folder).history().size() == 10);
}

BOOST_AUTO_TEST_CASE(attempts_are_counted_until_they_are_answered_or_get_further) {
  const std::string path = folder / "attempts.jsonl";
  {
    AttemptLog log(path);
    log.begin("1");
    log.begin("2");
    log.end("2");
    log.begin("retrain 3", 4);
    log.begin("4");
    log.begin("4");
    log.undo("4");
    log.begin("5");
    log.undo("5");
  }
  std::ofstream(path, std::ios::app) << "{\"task\":\"9\",\"what\":\"begin\"}\n";  // no checksum
  {
    AttemptLog log(path);
    BOOST_TEST(log.unanswered("1") == 1);
    BOOST_TEST(log.unanswered("2") == 0);
    BOOST_TEST(log.unanswered("9") == 0);
    BOOST_TEST(log.unanswered("4") == 1);
    BOOST_TEST(log.unanswered("5") == 0);
    log.end("4");
    BOOST_TEST(log.unanswered("retrain 3", 4) == 1);
    BOOST_TEST(log.unanswered("retrain 3", 5) == 0);
    log.begin("1");
    log.begin("retrain 3", 5);
  }
  AttemptLog log(path);
  BOOST_TEST(log.unanswered("1") == 2);
  BOOST_TEST(log.unanswered("retrain 3", 5) == 1);
  BOOST_TEST(lines_of(path).size() == 3);
}

BOOST_AUTO_TEST_CASE(options_that_were_changed_by_hand_are_refused) {
  std::string text = content_of(file("options.toml"));
  write(file("options.toml"), "filters=4\n" + text);
  refused("its checksum does not hold");
}

BOOST_AUTO_TEST_CASE(options_of_the_retraining_may_change_until_it_has_begun) {
  cut.stored_options = "retrain-rate=0.1\n";
  go(cut);
  BOOST_TEST(RunDirectory::open(cut.folder).options() == "retrain-rate=0.1\n");
  refused("networks were retrained with the options so far");
}

/// That the result is of the models that are there now.
void expect_result_of_models(const SearchRunOptions& options) {
  const RunDirectory run = RunDirectory::open(options.folder);
  const RunResult result = *run.load_result();
  BOOST_TEST(!result.networks.empty());
  for (const RetrainedNetwork& n : result.networks) {
    const Model model = load_model(run.retrained_file(n.name));
    BOOST_TEST(model.genome == n.genome);
    BOOST_TEST(model.validation_accuracy == n.validation_accuracy);
    if (n.name == result.winner) {
      BOOST_TEST((load_model(run.best_file()).weights == model.weights));
    }
  }
}

BOOST_AUTO_TEST_CASE(retraining_in_another_way_makes_another_result) {
  go(cut);
  const std::string before = content_of(file("best.h5"));
  cut.stored_options = "retrain-epochs=1\n";
  cut.final.recipe.epochs = 1;
  cut.final.recipe.cosine_cycles = {1};
  refused("move");
  fs::rename(file("retrain"), file("retrain-before"));  // as the message says
  go(cut);
  expect_result_of_models(cut);
  BOOST_TEST((content_of(file("best.h5")) != before));
}

BOOST_AUTO_TEST_CASE(a_finished_run_whose_history_was_cut_makes_another_result) {
  go(cut);
  auto lines = lines_of(file("history.jsonl"));
  lines.resize(5);
  write_lines(file("history.jsonl"), lines);
  fs::remove(file("search.h5"));
  fs::remove(file("search.previous.h5"));
  go(cut, 1);
  BOOST_TEST(!RunDirectory::open(cut.folder).load_result());  // it has not ended after all
  go(cut);
  BOOST_TEST(RunDirectory::open(cut.folder).history().size() == 10);
  expect_result_of_models(cut);
}

BOOST_AUTO_TEST_CASE(a_network_that_failed_is_not_trained_again_when_a_finished_run_is_resumed) {
  go(cut);
  const RunDirectory run = RunDirectory::open(cut.folder);
  RunResult result = *run.load_result();
  const auto failed =
      std::find_if(result.networks.begin(), result.networks.end(),
                   [&](const RetrainedNetwork& n) { return n.name != result.winner; });
  const std::string model = run.retrained_file(failed->name);
  result.networks.erase(failed);
  run.save_result(result);
  fs::remove(model);
  go(cut);
  warned("not trained again");
  BOOST_TEST(!fs::exists(model));
  BOOST_TEST(run.load_result()->networks.size() == result.networks.size());
}

BOOST_AUTO_TEST_CASE(a_search_none_of_whose_candidates_can_be_trained_ends_early) {
  SearchRunOptions options = toy_options(folder, "nan");
  options.children = 500;
  options.child.initial_rate = 1e30;
  BOOST_CHECK_EXCEPTION(go(options), InvalidInput, [](const InvalidInput& e) {
    return std::string(e.what()).find("none of the first 20 candidates") != std::string::npos;
  });
}

BOOST_AUTO_TEST_CASE(two_processes_cannot_work_on_one_run_even_while_it_is_made) {
  const RunLock lock(folder / "new");
  BOOST_CHECK_EXCEPTION(RunLock(folder / "new"), InvalidInput, [](const InvalidInput& e) {
    return std::string(e.what()).find("another process works on this run") != std::string::npos;
  });
  RunDirectory::create(folder / "new", "");  // by the holder: a lock alone is no run
}

BOOST_AUTO_TEST_SUITE_END()
