#include "renas/search_run.h"

#include <boost/test/unit_test.hpp>
#include <fstream>
#include <sstream>

#include "renas/error.h"
#include "renas/model.h"
#include "renas/run_directory.h"
#include "support/files.h"
#include "support/temporary_folder.h"
#include "support/toy_file.h"
#include "support/toy_run.h"

using namespace renas;
using renas::test::bytes_of;
using renas::test::history_of;
using renas::test::run_alone;
using renas::test::run_until;
using renas::test::TemporaryFolder;
using renas::test::toy_options;
using renas::test::write_toy_file;

BOOST_AUTO_TEST_SUITE(search_runs)

BOOST_AUTO_TEST_CASE(one_seed_gives_one_run_and_it_leaves_what_it_says) {
  const TemporaryFolder folder;
  write_toy_file(folder / "data.h5");
  const SearchRunOptions first = toy_options(folder, "first");
  const SearchRunOptions second = toy_options(folder, "second");
  const SearchRunResult result = run_alone(first);
  BOOST_TEST(result.finished);
  BOOST_TEST(result.networks.size() == 5);  // four members and a control
  run_alone(second);
  BOOST_TEST(history_of(first) == history_of(second));

  const auto history = RunDirectory::open(first.folder).history();
  BOOST_TEST(history.size() == 10);
  int weights = 0;
  for (const HistoryEntry& e : history) {
    const std::string name = "weights/" + std::to_string(e.id) + ".h5";
    const bool exists = std::filesystem::exists(folder / ("first/" + name));
    weights += exists;
    if (exists) {
      const MemberWeights member = load_member(folder / ("first/" + name), e.id);
      BOOST_TEST(member.genome == e.genome);
      BOOST_TEST((member.weights == load_member(folder / ("second/" + name), e.id).weights));
    }
  }
  BOOST_TEST(weights == 4);
  const auto state = [](const SearchRunOptions& o) {
    return RunDirectory::open(o.folder).load_snapshot()->strategy;
  };
  BOOST_TEST((state(first) == state(second)));
  // No time stands in a file, so whole files are equal.
  BOOST_TEST((bytes_of(folder / "first/best.h5") == bytes_of(folder / "second/best.h5")));

  const Model best = load_model(folder / "first/best.h5");
  double most = 0;
  for (const RetrainedNetwork& n : result.networks) {
    if (n.name == result.winner) {
      BOOST_TEST(n.genome == best.genome);
      BOOST_TEST(n.test_accuracy.has_value());
    }
    if (!n.name.starts_with("control")) most = std::max(most, n.validation_accuracy);
  }
  BOOST_TEST(best.validation_accuracy == most);
  const auto kept = RunDirectory::open(first.folder).load_result();
  BOOST_REQUIRE(kept.has_value());
  BOOST_TEST(to_json(*kept) == to_json(result));
}

BOOST_AUTO_TEST_CASE(a_run_stopped_again_and_again_ends_like_one_that_was_not) {
  for (const bool inherit : {true, false}) {
    const TemporaryFolder folder;
    write_toy_file(folder / "data.h5");
    SearchRunOptions whole = toy_options(folder, "whole");
    whole.child.inherit = inherit;
    run_alone(whole);
    SearchRunOptions pieces = whole;
    pieces.folder = folder / "pieces";
    int sessions = 0;
    for (bool finished = false; !finished; ++sessions) {
      BOOST_REQUIRE(sessions < 60);
      std::atomic<bool> stop{false};
      const auto at = sessions == 0 ? 0 : RunDirectory::open(pieces.folder).history().size();
      finished = run_alone(pieces, &stop, [&](const SearchProgress& p) {
                   const bool on = p.phase == SearchProgress::Phase::kRetrain
                                       ? sessions > 30
                                       : p.done < static_cast<int64_t>(at) + 2;
                   if (!on) stop = true;
                 }).finished;
      pieces.resume = true;
    }
    BOOST_TEST(sessions > 1);
    BOOST_TEST(history_of(whole) == history_of(pieces));
    BOOST_TEST((bytes_of(folder / "whole/best.h5") == bytes_of(folder / "pieces/best.h5")));
  }
}

BOOST_AUTO_TEST_CASE(without_a_snapshot_the_history_alone_brings_a_run_back) {
  const TemporaryFolder folder;
  write_toy_file(folder / "data.h5");
  const SearchRunOptions whole = toy_options(folder, "whole");
  run_alone(whole);
  SearchRunOptions cut = toy_options(folder, "cut");
  run_until(cut, 6);
  std::filesystem::remove(folder / "cut/search.h5");
  std::filesystem::remove(folder / "cut/search.previous.h5");
  cut.resume = true;
  run_alone(cut);
  BOOST_TEST(history_of(whole) == history_of(cut));
}

BOOST_AUTO_TEST_CASE(a_run_goes_on_with_its_own_pictures_wherever_they_lie) {
  const TemporaryFolder folder;
  write_toy_file(folder / "data.h5");
  const SearchRunOptions whole = toy_options(folder, "whole");
  run_alone(whole);
  SearchRunOptions moved = toy_options(folder, "moved");
  run_until(moved, 6);
  std::filesystem::rename(folder / "data.h5", folder / "elsewhere.h5");
  write_toy_file(folder / "data.h5", 96, 6);
  moved.resume = true;
  BOOST_CHECK_EXCEPTION(run_alone(moved), InvalidInput, [](const InvalidInput& e) {
    return std::string(e.what()).find("found another") != std::string::npos;
  });
  moved.data = folder / "elsewhere.h5";
  run_alone(moved);
  BOOST_TEST(history_of(whole) == history_of(moved));
}

BOOST_AUTO_TEST_CASE(children_that_diverge_do_not_stop_the_search) {
  const TemporaryFolder folder;
  write_toy_file(folder / "data.h5");
  SearchRunOptions options = toy_options(folder, "run");
  options.child.new_rate = 1e30;  // a child with anything new blows up
  options.child.inherited_rate = 1e30;
  const SearchRunResult result = run_alone(options);
  BOOST_TEST(result.finished);
  int diverged = 0;
  for (const HistoryEntry& e : RunDirectory::open(options.folder).history()) {
    diverged += e.status == Status::kDiverged;
  }
  BOOST_TEST(diverged == 6);
}

BOOST_AUTO_TEST_CASE(mistakes_are_named_and_leave_no_folder) {
  const TemporaryFolder folder;
  write_toy_file(folder / "data.h5");
  const auto refused = [&](auto change, const std::string& part) {
    SearchRunOptions options = toy_options(folder, "run");
    change(options);
    BOOST_CHECK_EXCEPTION(run_alone(options), Error, [&](const Error& e) {
      const bool holds = std::string(e.what()).find(part) != std::string::npos;
      BOOST_TEST(holds, "'" << e.what() << "' does not say '" << part << "'");
      return holds;
    });
    BOOST_TEST(!std::filesystem::exists(folder / "run"));
  };
  refused([](SearchRunOptions& o) { o.validation = 96; }, "validation 96");
  refused([](SearchRunOptions& o) { o.subset = 95; }, "subset 95");
  refused([](SearchRunOptions& o) { o.data += "x"; }, "data.h5x");
  refused([](SearchRunOptions& o) { o.strategy.sample = 5; }, "sample");
  refused([](SearchRunOptions& o) { o.strategy.name = "magic"; }, "magic");
  refused([](SearchRunOptions& o) { o.child.device.backend = "abacus"; }, "abacus");
  refused([](SearchRunOptions& o) { o.resume = true; }, "is not a run");
}

BOOST_AUTO_TEST_SUITE_END()
