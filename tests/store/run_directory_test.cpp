#include "renas/run_directory.h"

#include <boost/test/unit_test.hpp>
#include <fstream>

#include "renas/error.h"
#include "support/temporary_folder.h"

using namespace renas;

namespace {

HistoryEntry entry(uint64_t id) {
  HistoryEntry e;
  e.line = id;
  e.id = id;
  e.parent = 3;
  e.removed = 4;
  e.genome = "c-2:sep3x3+c-1:identity";
  e.mutations = {{0, 1, 2, 3}};
  e.fitness = 0.1 + 0.2;  // not a short decimal
  e.parameters = 12345678901;
  e.mult_adds = 7;
  e.inherited = 1.0 / 3;
  e.seconds = 1.5;
  e.rank = 2;
  e.asked = id + 1;
  return e;
}

void append_text(const std::string& file, const std::string& text) {
  std::ofstream(file, std::ios::app) << text;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(run_directories)

BOOST_AUTO_TEST_CASE(lines_come_back_as_they_were) {
  const test::TemporaryFolder folder;
  const RunDirectory run = RunDirectory::create(folder / "run", "seed=1\n");
  HistoryEntry failed = entry(1);
  failed.status = Status::kDiverged;
  failed.message = "the \"loss\"\nis not finite";
  failed.parent.reset();
  failed.removed.reset();
  run.append(entry(0));
  run.append(failed);
  const auto history = RunDirectory::open(folder / "run").history();
  BOOST_REQUIRE(history.size() == 2);
  BOOST_TEST(history[0].fitness == entry(0).fitness);
  BOOST_TEST(history[0].inherited == entry(0).inherited);
  BOOST_TEST(history[0].parameters == entry(0).parameters);
  BOOST_TEST((history[0].mutations == entry(0).mutations));
  BOOST_TEST((history[0].parent == entry(0).parent));
  BOOST_TEST((history[1].status == Status::kDiverged));
  BOOST_TEST(history[1].message == failed.message);
  BOOST_TEST(!history[1].parent);
  BOOST_TEST(RunDirectory::open(folder / "run").options() == "seed=1\n");
}

BOOST_AUTO_TEST_CASE(a_killed_writers_last_line_is_left_out) {
  const test::TemporaryFolder folder;
  const RunDirectory run = RunDirectory::create(folder / "run", "");
  run.append(entry(0));
  append_text(folder / "run/history.jsonl", R"({"id":1,"parent":nu)");
  BOOST_TEST(run.history().size() == 1);
  run.repair_history(1);
  run.append(entry(1));
  BOOST_TEST(run.history().size() == 2);
}

BOOST_AUTO_TEST_CASE(an_append_cuts_off_the_half_line_of_a_failed_one) {
  const test::TemporaryFolder folder;
  const RunDirectory run = RunDirectory::create(folder / "run", "");
  run.append(entry(0));
  append_text(folder / "run/history.jsonl", R"({"line":1,"id":1,"par)");
  run.append(entry(1));
  run.append(entry(2));
  BOOST_TEST(run.history().size() == 3);
  BOOST_TEST(run.read_history().repairs.empty());
}

BOOST_AUTO_TEST_CASE(a_line_that_is_none_is_named) {
  const test::TemporaryFolder folder;
  const RunDirectory run = RunDirectory::create(folder / "run", "");
  run.append(entry(0));
  append_text(folder / "run/history.jsonl", "hello\n");
  BOOST_CHECK_EXCEPTION(run.history(), IoError, [](const IoError& e) {
    return std::string(e.what()).find("history.jsonl:2") != std::string::npos;
  });
}

BOOST_AUTO_TEST_CASE(a_folder_with_something_in_it_is_left_alone) {
  const test::TemporaryFolder folder;
  std::filesystem::create_directories(folder / "run");
  append_text(folder / "run/thesis.tex", "mine");
  BOOST_CHECK_THROW(RunDirectory::create(folder / "run", ""), InvalidInput);
  BOOST_TEST(std::filesystem::exists(folder / "run/thesis.tex"));
  BOOST_CHECK_THROW(RunDirectory::open(folder / "run"), InvalidInput);
  BOOST_CHECK_THROW(RunDirectory::open(folder / "nothing"), InvalidInput);
}

BOOST_AUTO_TEST_CASE(a_snapshot_keeps_every_type_of_number) {
  const test::TemporaryFolder folder;
  const RunDirectory run = RunDirectory::create(folder / "run", "");
  BOOST_TEST(!run.load_snapshot());
  Snapshot snapshot;
  snapshot.journal_lines = 7;
  snapshot.strategy["a"] = std::vector<uint64_t>{~uint64_t{0}, 1};
  snapshot.strategy["b/c"] = std::vector<int64_t>{-1, 2};
  snapshot.strategy["b/d/e"] = std::vector<double>{0.1};
  snapshot.strategy["b/d/f"] = std::vector<float>{0.1F};
  snapshot.strategy["empty"] = std::vector<double>{};
  run.save_snapshot(snapshot);
  run.save_snapshot(snapshot);
  const auto back = run.load_snapshot();
  BOOST_REQUIRE(back.has_value());
  BOOST_TEST(back->journal_lines == 7);
  BOOST_TEST((back->strategy == snapshot.strategy));
}

BOOST_AUTO_TEST_SUITE_END()
