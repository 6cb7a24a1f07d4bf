// A run goes on where arithmetic rounds in another way, so that its strategy would have decided
// otherwise: what the history says holds.

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <set>

#include "cluster/driven_queue.h"
#include "renas/error.h"
#include "support/files.h"
#include "support/temporary_folder.h"
#include "support/toy_file.h"
#include "support/toy_run.h"

using namespace renas;
using namespace renas::test;

namespace {

constexpr int kChildren = 60;

struct Fixture {
  TemporaryFolder folder;
  std::string warnings;
  Log log = [this](LogLevel level, std::string_view text) {
    if (level >= LogLevel::kWarning) warnings += std::string(text) + "\n";
  };

  Fixture() { write_toy_file(folder / "data.h5"); }

  SearchRunOptions options(const std::string& name) const {
    SearchRunOptions o = toy_options(folder, name);
    o.strategy.controller_form = controller_options(o.strategy);
    o.children = kChildren;
    o.max_attempts = 1000;
    o.snapshot_seconds = 1000;
    return o;
  }
  /// As if computed elsewhere: it learns a little otherwise, and so soon decides otherwise.
  SearchRunOptions elsewhere(const std::string& name) const {
    SearchRunOptions o = options(name);
    o.strategy.controller_form->learning_rate *= 3;
    return o;
  }
  std::vector<HistoryEntry> history(const std::string& name) const {
    return RunDirectory::open(folder / name).history();
  }
  void write(const std::string& name, const std::vector<HistoryEntry>& history) const {
    std::ofstream out(folder / (name + "/history.jsonl"));
    for (const HistoryEntry& e : history) out << to_json(e) << "\n";
  }
  /// Checks that the run has all its results, each once, and that a member died for each child.
  void expect_whole(const std::string& name) const {
    std::set<uint64_t> ids;
    std::set<uint64_t> members;
    for (const HistoryEntry& e : history(name)) {
      BOOST_TEST(ids.insert(e.id).second);
      BOOST_TEST(e.message == "");
      members.insert(e.id);
      if (e.removed) BOOST_TEST(members.erase(*e.removed) == 1);
    }
    BOOST_TEST(ids.size() == 4 + kChildren);
    BOOST_TEST(members.size() == 4);
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(other_processors, Fixture)

BOOST_AUTO_TEST_CASE(what_another_processor_decided_holds) {
  for (const char* strategy : {"renas", "reinforce"}) {
    const std::string name = strategy;
    SearchRunOptions there = elsewhere(name);
    SearchRunOptions here = options(name);
    there.strategy.name = here.strategy.name = name;
    there.strategy.controller_form = controller_options(there.strategy);
    here.strategy.controller_form = there.strategy.controller_form;
    there.strategy.controller_form->learning_rate *= 3;
    DrivenQueue(there, 4, log).take(40);
    const auto then = history(name);
    BOOST_REQUIRE(then.size() == 40);
    here.resume = true;
    warnings.clear();
    {
      const RunSetup setup = make_setup(here);
      const SearchJournal journal(setup, 4, log);
      for (const Member& member : journal.strategy().population()) {
        const auto entry = std::find_if(then.begin(), then.end(),
                                        [&](const HistoryEntry& e) { return e.id == member.id; });
        BOOST_TEST(to_string(setup.space, member.genome) == entry->genome);
      }
    }
    BOOST_TEST(warnings.find("decides otherwise") != std::string::npos, warnings);
    DrivenQueue(here, 4, log).take(12);
    const auto now = history(name);
    BOOST_REQUIRE(now.size() == 52);
    for (std::size_t i = 0; i < then.size(); ++i) BOOST_TEST(to_json(now[i]) == to_json(then[i]));
    // Back there, where the last lines are the others.
    there.resume = true;
    DrivenQueue(there, 4, log).take(12);
    expect_whole(name);
  }
}

BOOST_AUTO_TEST_CASE(going_on_twice_is_going_on_once) {
  DrivenQueue(elsewhere("run")).take(30);
  std::filesystem::copy(folder / "run", folder / "again", std::filesystem::copy_options::recursive);
  SearchRunOptions once = options("run");
  once.resume = true;
  DrivenQueue(once, 1).take(34);
  SearchRunOptions twice = options("again");
  twice.resume = true;
  DrivenQueue(twice, 1).take(20);
  DrivenQueue(twice, 1, log).take(14);
  BOOST_TEST(history_of(folder / "run") == history_of(folder / "again"));
  expect_whole("again");
}

BOOST_AUTO_TEST_CASE(the_member_leaves_that_left_then) {
  DrivenQueue(options("run")).take(30);
  std::vector<HistoryEntry> lines = history("run");
  // Another member than the one that left for the last child.
  std::set<uint64_t> members;
  for (const HistoryEntry& e : lines) {
    members.insert(e.id);
    if (e.removed && &e != &lines.back()) members.erase(*e.removed);
  }
  members.erase(lines.back().id);
  members.erase(*lines.back().removed);
  lines.back().removed = *members.begin();
  write("run", lines);
  std::filesystem::remove(folder / "run/search.h5");
  SearchRunOptions o = options("run");
  o.resume = true;
  // The weights of the one that stays are gone.
  DrivenQueue(o, 4, log).take(34);
  BOOST_TEST(warnings.find("history.jsonl:30: here") != std::string::npos, warnings);
  expect_whole("run");
}

BOOST_AUTO_TEST_CASE(what_no_processor_decides_is_refused) {
  DrivenQueue(options("run")).take(30);
  const std::vector<HistoryEntry> lines = history("run");
  const auto refused = [&](auto change) {
    std::vector<HistoryEntry> other = lines;
    change(other);
    write("run", other);
    SearchRunOptions o = options("run");
    o.resume = true;
    BOOST_CHECK_EXCEPTION(DrivenQueue(o, 4), IoError, [](const IoError& e) {
      return std::string(e.what()).find("the history is not of a run with these") !=
             std::string::npos;
    });
  };
  refused([](auto& h) { h[25].genome = h[24].genome; });  // not by these mutations
  refused([](auto& h) { h[25].removed = 100000; });       // no member
  refused([](auto& h) {
    h[25].removed = h[25].parent;
    h[25].parent = h[25].id;
  });
  refused([](auto& h) { std::swap(h[0].genome, h[1].genome); });  // drawn by whole numbers alone
}

BOOST_AUTO_TEST_SUITE_END()
