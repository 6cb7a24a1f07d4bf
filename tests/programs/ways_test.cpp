// Ways to ask the programs for something, and what they say where it cannot be.

#include <fmt/format.h>

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <tuple>
#include <utility>

#include "cli/search_settings.h"
#include "renas/model.h"
#include "renas/run_directory.h"
#include "support/files.h"
#include "support/toy_run.h"
#include "support/toy_search.h"

using namespace renas::test;

namespace {

const std::string kCells =
    "# known cells\n"
    "c-2:sep3x3+c-1:identity,1:max3x3+c-1:sep3x3   # a good one\n"
    "\n"
    "c-1:avg3x3+c-1:identity,c-2:max3x3+1:sep3x3\n";

struct Fixture {
  TemporaryFolder folder;
  Fixture() { write_toy_file(folder / "data.h5"); }

  std::string resume(const std::string& run) const {
    return kPrograms + "renas-search --threads 1 --resume --run " + (folder / run) + " ";
  }
  std::string file(const std::string& name, const std::string& text) const {
    write_text(folder / name, text);
    return folder / name;
  }
  std::string train(const std::string& more) const {
    return kPrograms + "renas-train --cells 1 --filters 4 --epochs 2 --batch 16 --threads 1" +
           " --validation 20 --data " + (folder / "data.h5") + " " + more;
  }
  void expect_nothing(const std::string& name) const {
    BOOST_TEST(!std::filesystem::exists(folder / name), name << " is left behind");
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(ways, Fixture)

BOOST_AUTO_TEST_CASE(a_search_starts_from_a_file_of_cells_that_may_then_go) {
  const std::string cells = file("cells.txt", kCells);
  const std::string search = toy_search(folder, "run") + "--initial-genomes " + cells;
  done(search);
  const auto history = renas::RunDirectory::open(folder / "run").history();
  BOOST_TEST(history[0].genome == "c-2:sep3x3+c-1:identity,1:max3x3+c-1:sep3x3");
  BOOST_TEST(history[1].genome == "c-1:avg3x3+c-1:identity,c-2:max3x3+1:sep3x3");
  std::filesystem::remove(cells);
  done(resume("run") + "--children 9");
  refused(resume("run") + "--initial-genomes " +
              file("other.txt", "c-1:max3x3+c-1:identity,c-2:max3x3+1:sep3x3\n"),
          "initial_genomes");

  const auto bad = [&](const std::string& text, const std::string& part) {
    refused(toy_search(folder, "bad") + "--initial-genomes " + file("bad.txt", text), part);
    expect_nothing("bad");
  };
  bad(kCells + "c-2:sep9x9+c-1:identity,1:max3x3+c-1:sep3x3\n", "bad.txt:5: genome");
  bad(kCells + "c-2:sep3x3+c-1:identity\n", "bad.txt:5: genome");
  bad(kCells + "c-1:identity+c-1:avg3x3,c-2:max3x3+1:sep3x3\n", "same network as line 4");
  bad("# nothing\n", "found none");
  bad(kCells + "c-2:sep5x5+c-1:identity,1:max3x3+c-1:sep3x3\n" +
          "c-2:sep5x5+c-1:sep3x3,1:max3x3+c-1:sep3x3\n" +
          "c-2:sep5x5+c-1:sep5x5,1:max3x3+c-1:sep3x3\n",
      "at most 4");
  refused(toy_search(folder, "bad") + "--initial-genomes " + (folder / "none.txt"), "none.txt");
  refused(toy_search(folder, "bad") + "--initial-genomes " + folder.path(), "folder");
  expect_nothing("bad");
}

BOOST_AUTO_TEST_CASE(a_search_takes_a_space_of_ones_own_and_keeps_it) {
  const std::string space = file("space.txt",
                                 "block\n  operator o1 identity max3x3\n"
                                 "block\n  input i1 1\n  input i2 c-1\n");
  const std::string search = kPrograms + "renas-search --data " + (folder / "data.h5") +
                             " --population 4 --sample 2 --children 4 --cells 1 --filters 4"
                             " --batch 16 --initial-epochs 1 --retrain-epochs 1 --threads 1 ";
  done(search + "--run " + (folder / "run") + " --space " + space);
  for (const auto& e : renas::RunDirectory::open(folder / "run").history()) {
    BOOST_TEST((e.genome.find(":identity+") != std::string::npos ||
                e.genome.find(":max3x3+") != std::string::npos));
    BOOST_TEST(e.genome.find(",1:") != std::string::npos);
  }
  // The options of a run begin another.
  done(kPrograms + "renas-search --config " + (folder / "run/options.toml") + " --run " +
       (folder / "again"));
  BOOST_TEST(history_of(folder / "run") == history_of(folder / "again"));
  std::filesystem::remove(space);
  const Ran view = done(kPrograms + "renas-inspect controller " + (folder / "run"));
  BOOST_TEST(view.output.find("block 2  i1") != std::string::npos, view.output);
  BOOST_TEST(view.output.find("1 100 %") != std::string::npos, view.output);
  const Ran members = done(kPrograms + "renas-inspect run " + (folder / "run"));
  // What the strategy's snapshot says can be read with the run's space only.
  BOOST_TEST(members.output.find("best by posterior mean (") != std::string::npos, members.output);
  done(resume("run") + "--children 5");

  const std::string bad = search + "--run " + (folder / "bad") + " --space ";
  refused(bad + file("bad.txt", "block\n  operator o1 sep9x9\n"), "line 2: slot 'o1'");
  refused(bad + file("bad.txt", "block\n  operator o1 sep3x3\n") + " --blocks 3", "--blocks");
  refused(bad + (folder / "none.txt"), "none.txt");
  expect_nothing("bad");

  // Where no snapshot can be read, the history is still shown.
  file("run/search.h5", "damaged");
  file("run/search.previous.h5", "damaged");
  const Ran damaged = done(kPrograms + "renas-inspect run " + (folder / "run"));
  BOOST_TEST(damaged.output.find("best first by fitness") != std::string::npos, damaged.output);
}

#ifdef RENAS_MPIRUN
BOOST_AUTO_TEST_CASE(two_ranks_search_two_cells_and_every_program_takes_them) {
  done(on_ranks(2) + toy_search(folder, "run") + "--cells-searched 2 --judge fitness");
  done(resume("run") + "--children 11");
  const auto history = renas::RunDirectory::open(folder / "run").history();
  BOOST_TEST(history.size() == 15);
  const std::string run = folder / "run";
  done(kPrograms + "renas-search --replay " + run + " --decisions-only --threads 1");
  const Ran seen = done(kPrograms + "renas-inspect run " + run);
  BOOST_TEST(seen.output.find("reduction ") != std::string::npos, seen.output);
  BOOST_TEST(seen.output.find("best first by fitness") != std::string::npos, seen.output);
  const Ran learnt = done(kPrograms + "renas-inspect controller " + run);
  BOOST_TEST(learnt.output.find("reduction block 2  o2") != std::string::npos, learnt.output);
  done(kPrograms + "renas-report " + run);
  const std::string best = run + "/best.h5";
  const std::string genome = renas::load_model(best).genome;
  BOOST_TEST(genome.starts_with("renas/"), genome);
  done(kPrograms + "renas-inspect genome " + genome);
#ifdef RENAS_WITH_GRAPHVIZ
  const Ran drawn = done(kPrograms + "renas-inspect genome " + genome + " --svg");
  BOOST_TEST(drawn.output.find("reduction cell") != std::string::npos);
#endif
  done(train("--genome " + genome + " --out " + (folder / "again.h5")));
  done(train("--list " + file("cells.txt", genome + "\n") + " --out " + (folder / "list")));
  done(kPrograms + "renas-export " + best + " --pytorch " + (folder / "cell.py"));
  // The cells of a run are cells to start from.
  done(toy_search(folder, "next") + "--cells-searched 2 --initial-genomes " +
       file("cells.txt", genome + "\nc-2:sep3x3+c-1:identity,1:max3x3+c-1:sep3x3\n"));
  refused(toy_search(folder, "one") + "--initial-genomes " + file("cells.txt", genome + "\n"),
          "cells.txt:1: genome");
  refused(toy_search(folder, "one") + "--cells-searched 3", "--cells-searched");
  refused(resume("run") + "--cells-searched 1", "was started with 2");
}
#endif

BOOST_AUTO_TEST_CASE(a_finished_run_goes_on_with_more_children_but_not_with_fewer) {
  for (const auto& [name, children] : {std::pair("whole", "12"), std::pair("run", "8")}) {
    done(kPrograms + "renas-search --data " + (folder / "data.h5") + " --run " + (folder / name) +
         " --blocks 2 --population 4 --sample 2 --cells 1 --filters 4 --batch 16 --initial-epochs 1"
         " --retrain-epochs 2 --controls 1 --seed 3 --threads 1 --children " +
         children);
  }
  refused(resume("run") + "--children 7", "started with 8");
  done(resume("run") + "--children 12");
  BOOST_TEST(history_of(folder / "run") == history_of(folder / "whole"));
  for (const char* name : {"best.h5", "result.json"}) {
    BOOST_TEST((bytes_of(folder / (std::string("run/") + name)) ==
                bytes_of(folder / (std::string("whole/") + name))));
  }
  refused(resume("run") + "--children 8", "started with 12");
  done(resume("run") + "--children 12");
  // How networks are retrained stays as it was.
  refused(resume("run") + "--children 13 --retrain-epochs 3", "retrained");
}

BOOST_AUTO_TEST_CASE(a_search_is_planned_watched_and_done_again) {
  const Ran plan = run_command(toy_search(folder, "run") + "--plan");
  BOOST_TEST(plan.code == 0, plan.output);
  for (const char* part : {"parameters", "memory", "images/s", "disk", "rank-hours", "ranks"}) {
    BOOST_TEST(plan.output.find(part) != std::string::npos, plan.output);
  }
  BOOST_TEST(!std::filesystem::exists(folder / "run"));

  BOOST_REQUIRE(run_command(toy_search(folder, "run")).code == 0);
  const Ran watched = run_command(kPrograms + "renas-inspect run --watch " + (folder / "run"));
  BOOST_TEST(watched.code == 0, watched.output);
  BOOST_TEST(
      watched.output.find("run: finished\nresults     12 of 12, 12 ok\n") != std::string::npos,
      watched.output);

  const std::string replay = kPrograms + "renas-search --threads 1 --replay " + (folder / "run");
  const Ran decisions = run_command(replay + " --decisions-only");
  BOOST_TEST(decisions.code == 0, decisions.output);
  BOOST_TEST(decisions.output == "12 results as in the history\n");
  const Ran whole = run_command(replay);
  BOOST_TEST(whole.code == 0, whole.output);
  BOOST_TEST(whole.output.find("12 of them trained again") != std::string::npos, whole.output);

  const Ran neither = run_command(kPrograms + "renas-search --data " + (folder / "data.h5"));
  BOOST_TEST(neither.code == 2);
  BOOST_TEST(neither.output.find("--run is required") != std::string::npos, neither.output);
}

BOOST_AUTO_TEST_CASE(a_search_ends_by_patience_and_judges_by_balanced_accuracy) {
  const Ran ran = done(
      kPrograms + "renas-search --data " + (folder / "data.h5") + " --run " + (folder / "run") +
      " --blocks 2 --population 4 --sample 2 --children 60 --cells 1 --filters 4 --batch 16"
      " --initial-epochs 1 --retrain-epochs 1 --threads 1 --patience 2 --fitness balanced"
      " --class-weights auto");
  BOOST_TEST(ran.output.find("% balanced)") != std::string::npos, ran.output);
  BOOST_TEST(ran.output.find("none of the last 2 better") != std::string::npos, ran.output);
  BOOST_TEST(renas::RunDirectory::open(folder / "run").history().size() < 64);
  refused(resume("run") + "--children 70", "by its patience");
}

BOOST_AUTO_TEST_CASE(children_that_diverge_teach_where_it_is_asked_for) {
  const std::string diverging = "--new-rate 1e30 --inherited-rate 1e30 --judge fitness ";
  done(toy_search(folder, "without") + diverging);
  done(toy_search(folder, "with") + diverging + "--learn-failures");
  const auto asked = [&](const std::string& run) {
    std::string genomes;
    for (const auto& e : renas::RunDirectory::open(folder / run).history()) {
      genomes += e.genome + "\n";
    }
    return genomes;
  };
  BOOST_TEST(asked("without") != asked("with"));
  // The option belongs to the run.
  done(resume("with") + "--children 12");
  done(kPrograms + "renas-search --decisions-only --threads 1 --replay " + (folder / "with"));
}

BOOST_AUTO_TEST_CASE(how_the_controller_attends_and_learns_belongs_to_the_run) {
  const std::string limited = "--max-parameters 7000 ";  // about every second cell has more
  done(toy_search(folder, "without", "0", 24) + limited);
  done(toy_search(folder, "refusals", "0", 24) + limited + "--learn-refusals");
  BOOST_TEST(history_of(folder / "without") != history_of(folder / "refusals"));
  done(resume("refusals") + "--children 28");
  done(kPrograms + "renas-search --decisions-only --threads 1 --replay " + (folder / "refusals"));

  done(toy_search(folder, "linear"));
  done(toy_search(folder, "run") + "--input-attention additive");
  BOOST_TEST(history_of(folder / "linear") != history_of(folder / "run"));
  refused(resume("run") + "--input-attention linear", "was started with additive");
  refused(toy_search(folder, "bad") + "--input-attention dot", "--input-attention");
  done(resume("run") + "--children 12");
  done(kPrograms + "renas-inspect controller " + (folder / "run"));
  done(kPrograms + "renas-search --decisions-only --threads 1 --replay " + (folder / "run"));
}

BOOST_AUTO_TEST_CASE(finalists_may_be_chosen_by_posterior_mean) {
  done(toy_search(folder, "without") + "--finalists population");
  done(toy_search(folder, "run") + "--finalists posterior-mean");
  BOOST_TEST(history_of(folder / "without") == history_of(folder / "run"));
  done(resume("run") + "--children 12");
  done(toy_search(folder, "whole", "0", 12) + "--finalists posterior-mean");
  BOOST_TEST((bytes_of(folder / "run/result.json") == bytes_of(folder / "whole/result.json")));
  done(kPrograms + "renas-search --decisions-only --threads 1 --replay " + (folder / "run"));
  refused(toy_search(folder, "bad") + "--finalists best", "--finalists");
}

BOOST_AUTO_TEST_CASE(a_run_is_inspected_by_what_it_judges_by) {
  const std::string inspect = kPrograms + "renas-inspect ";
  const auto says = [&](const std::string& run, const std::string& population,
                        const std::string& best) {
    const std::string shown = done(inspect + "run " + (folder / run)).output;
    BOOST_TEST(shown.find("best first by " + population + "\n") != std::string::npos, shown);
    BOOST_TEST(shown.find("lineage of the best by " + best + " (") != std::string::npos, shown);
    BOOST_TEST(shown.find("warning") == std::string::npos, shown);
    done(inspect + "controller " + (folder / run));
  };
  done(toy_search(folder, "effect"));
  says("effect", "effect", "effect");
  done(toy_search(folder, "anew") + "--inherit=false");
  says("anew", "fitness", "posterior mean");
  done(toy_search(folder, "members") + "--inherit=false --finalists population");
  says("members", "fitness", "fitness");
  done(toy_search(folder, "sizes") + "--inherit=false --objective accuracy-size");
  says("sizes", "fitness", "fitness");
}

BOOST_AUTO_TEST_CASE(by_default_a_search_trains_from_scratch_and_a_recipe_inherits) {
  const renas::SearchRunOptions usual;
  BOOST_TEST(!usual.child.inherit);
  BOOST_TEST(usual.child.initial_epochs == 1);
  BOOST_TEST(usual.strategy.finalists == "posterior-mean");
  const std::string search = kPrograms + "renas-search --data " + (folder / "data.h5") +
                             " --blocks 2 --population 4 --sample 2 --children 2 --cells 1" +
                             " --filters 4 --batch 16 --retrain-epochs 1 --threads 1 --run ";
  const auto options = [&](const std::string& name, const std::string& more) {
    done(search + (folder / name) + more);
    return renas::cli::stored_settings(folder / name).run;
  };
  const auto plain = options("plain", "");
  BOOST_TEST(!plain.child.inherit);
  BOOST_TEST(plain.child.initial_epochs == 1);
  BOOST_TEST(plain.strategy.finalists == "posterior-mean");
  const auto inherits = options("inherits", " --recipe inherit");
  BOOST_TEST(inherits.child.inherit);
  BOOST_TEST(inherits.child.initial_epochs == 5);
  BOOST_TEST(inherits.strategy.finalists == "population");
}

BOOST_AUTO_TEST_CASE(a_comparison_gives_all_strategies_as_many_passes) {
  // Programs that do nothing but say how they were called.
  std::filesystem::create_directories(folder / "stub/bin");
  std::filesystem::create_directories(folder / "stub/share/renas/recipes");
  std::filesystem::copy(RENAS_SOURCE_DIR "/bin/recipes/renas-search",
                        folder / "stub/share/renas/recipes/renas-search");
  const auto program = [&](const std::string& name, const std::string& text) {
    file("stub/bin/" + name, "#!/bin/sh\n" + text + "\n");
    std::filesystem::permissions(folder / ("stub/bin/" + name), std::filesystem::perms::owner_all);
  };
  program("mpirun", "shift 2; exec \"$@\"");
  program("renas-search", "echo \"$@\"");
  program("python3", "cat > /dev/null");
  const std::string bin = folder / "stub/bin";
  const auto compare = [&](const std::string& strategy, const std::string& passes,
                           const std::string& more) {
    return "PATH=" + bin + ":$PATH RENAS_BIN=" + bin + " SEEDS=1 STRATEGIES=" + strategy + " " +
           passes + " bash " RENAS_SOURCE_DIR "/jobs/compare.sh data.h5 " + (folder / "out") + " " +
           more;
  };
  const auto children = [&](const std::string& strategy, const std::string& more, int expected) {
    const std::string called = done(compare(strategy, "PASSES=160", more)).output;
    BOOST_TEST(called.find(fmt::format(" --children {} ", expected)) != std::string::npos,
               strategy << ' ' << more << ": " << called);
  };
  children("renas", "--population 8", 152);
  children("renas", "--population=8", 152);
  children("renas", "", 140);
  children("random", "--population 8 --initial-epochs=2", 72);
  children("renas:paper", "--population 8", 120);
  children("random:paper", "--population 8", 24);
  children("renas:paper", "--population 8 --inherit=false", 24);
  children("renas:inherit", "--population 8 --initial-epochs 4", 128);
  children("renas", "--population 8 --inherit=true --initial-epochs 5", 120);
  children("renas", "--population 8 --inherit --initial-epochs 2 --child-epochs 3", 48);
  refused(compare("renas", "PASSES=160", "--children 3"), "expected no --children");
  refused(compare("renas", "PASSES=160", "--recipe paper"), "expected no --recipe");
  refused(compare("renas:none", "PASSES=160", ""), "recipe none: there is no");
  refused(compare("renas:paper", "PASSES=40", "--population 8"), "takes 40 for its first 8 cells");
  refused(compare("renas", "CHILDREN_ANEW=24", ""), "PASSES");
  std::filesystem::create_directories(folder / "runs/renas-1");
  file("runs/renas-1/result.json", "{}");
  for (const std::string& arguments :
       {std::string("data.h5 out"), "--results " + (folder / "runs")}) {
    refused("RENAS_BIN=/nowhere bash " RENAS_SOURCE_DIR "/jobs/compare.sh " + arguments,
            "/nowhere/renas-");
  }
}

BOOST_AUTO_TEST_CASE(a_comparison_takes_winners_that_were_trained_anew) {
  if (run_command("python3 -c ''").code != 0) {
    BOOST_TEST_MESSAGE("skipped: there is no python3");
    return;
  }
  const std::string compare = "bash " RENAS_SOURCE_DIR "/jobs/compare.sh ";
  std::string lines;
  for (const int seed : {1, 2}) {
    for (const std::string strategy : {"renas", "random"}) {
      lines += fmt::format(
          R"({{"strategy": "{0}", "seed": {1}, "population": 0.5, "best": 0.6, "test": 0.55, )"
          R"("members": [["{0} loses", 0.4], ["{0} wins {1}", 0.6]]}})"
          "\n",
          strategy, seed);
    }
  }
  file("runs.jsonl", lines);
  const std::string runs = folder / "runs.jsonl";
  BOOST_TEST(done(compare + "--winners " + runs).output ==
             "renas wins 1\nrandom wins 1\nrenas wins 2\nrandom wins 2\n");
  for (const int k : {1, 2}) {
    std::string cells;
    for (const int seed : {1, 2}) {
      cells +=
          fmt::format(R"({{"genome": "renas wins {0}", "status": "ok", "test_accuracy": 0.5{1}}})"
                      "\n"
                      R"({{"genome": "random wins {0}", "status": "ok", "test_accuracy": 0.4{0}}})"
                      "\n",
                      seed, k);
    }
    const std::string name = fmt::format("anew-{}", k);
    std::filesystem::create_directories(folder / name);
    file(name + "/results.jsonl", cells);
  }
  const std::string folders = " " + (folder / "anew-1") + " " + (folder / "anew-2");
  // 51 and 52 % for each winner of renas, 41 and 42 for those of random.
  const std::string report = done(compare + "--report " + runs + folders).output;
  BOOST_TEST(report.find("51.50 +- 0.00") != std::string::npos, report);
  BOOST_TEST(
      report.find("winners trained anew, of renas over random: +10.00 [+3.6") != std::string::npos,
      report);
  // The lines keep it.
  file("kept.jsonl", done(compare + "--results " + runs + folders).output);
  BOOST_TEST(done(compare + "--report " + (folder / "kept.jsonl")).output == report);
}

BOOST_AUTO_TEST_CASE(a_run_of_before_these_options_goes_on_as_it_began) {
  done(toy_search(folder, "made", "0", 4) + "--finalists population");
  renas::SearchRunOptions options =
      renas::cli::run_options(renas::cli::stored_settings(folder / "made"));
  std::string text = renas::RunDirectory::open(folder / "made").options();
  for (const std::string line : {"inherit=true\n", "finalists=\"population\"\n"}) {
    const std::size_t at = text.find("\n" + line);
    BOOST_REQUIRE(at != std::string::npos);
    text.erase(at + 1, line.size());
  }
  options.folder = folder / "old";
  options.resume = false;
  options.stored_options = text;
  run_alone(options);

  const auto stored = renas::cli::stored_settings(folder / "old").run;
  BOOST_TEST(stored.child.inherit);
  BOOST_TEST(stored.strategy.finalists == "population");
  const std::string command = renas::cli::command_of_run(folder / "old", 1);
  BOOST_TEST(command.find(" --inherit") != std::string::npos, command);
  // An option that changes has all of them written anew.
  done(resume("old") + "--inherit --children 6");
  const std::string written = renas::RunDirectory::open(folder / "old").options();
  BOOST_TEST(written.find("\ninherit=true\n") != std::string::npos, written);
  done(resume("old") + "--children 9");
  for (const auto& entry : renas::RunDirectory::open(folder / "old").history()) {
    BOOST_TEST((entry.inherited > 0) == entry.parent.has_value());
  }
  done(kPrograms + "renas-search --threads 1 --replay " + (folder / "old"));
}

BOOST_AUTO_TEST_CASE(children_inherit_only_where_that_is_asked_for) {
  done(toy_search(folder, "run"));
  done(toy_search(folder, "anew") + "--inherit=false --child-epochs 3");
  double inherited = 0;
  for (const auto& entry : renas::RunDirectory::open(folder / "run").history()) {
    inherited += entry.inherited;
  }
  BOOST_TEST(inherited > 0);
  int children = 0;
  for (const auto& entry : renas::RunDirectory::open(folder / "anew").history()) {
    children += entry.parent ? 1 : 0;
    BOOST_TEST(entry.inherited == 0);
  }
  BOOST_TEST(children > 0);
  done(kPrograms + "renas-search --threads 1 --replay " + (folder / "anew"));
}

BOOST_AUTO_TEST_CASE(class_weights_are_numbers_or_a_file_of_them) {
  const std::string weights = file("weights.txt", "1  # the first class\n2.5 0.5\n");
  const Ran by_file = done(train("--genome c-2:sep3x3+c-1:identity --quiet --class-weights " +
                                 weights + " --out " + (folder / "a.h5")));
  BOOST_TEST(by_file.output.find("validation balanced accuracy ") != std::string::npos);
  BOOST_TEST(by_file.output.find("test balanced accuracy ") != std::string::npos);
  const std::string one = train("--genome c-2:sep3x3+c-1:identity --quiet --out ");
  done(one + (folder / "b.h5") + " --class-weights 1,2.5,0.5");
  done(one + (folder / "c.h5") + " --class-weights 1,1,1");
  done(one + (folder / "d.h5"));
  BOOST_TEST((bytes_of(folder / "a.h5") == bytes_of(folder / "b.h5")));
  const auto learnt = [&](const char* name) { return renas::load_model(folder / name).weights; };
  BOOST_TEST((learnt("c.h5") == learnt("d.h5")));
  BOOST_TEST((learnt("a.h5") != learnt("d.h5")));
  const std::string bad = one + (folder / "e.h5") + " --class-weights ";
  refused(bad + "1,2", "expected 3 numbers, one a class");
  refused(bad + "1,2,-1", "'-1'");
  refused(bad + "none.txt", "none.txt");
  refused(bad + file("weights.txt", "1\nmany\n1\n"), "weights.txt:2");
  refused(toy_search(folder, "bad") + "--class-weights 1,2", "expected 3 numbers, one a class");
  expect_nothing("e.h5");
  expect_nothing("bad");
}

BOOST_AUTO_TEST_CASE(a_list_of_cells_is_trained_into_a_folder) {
  const std::string cells = file("cells.txt", kCells + "c-2:sep3x3+c-1:max3x3\n");
  const std::string list = train("--list " + cells + " --out " + (folder / "list") + " ");
  const Ran ran = done(list);
  BOOST_TEST(ran.output.find("cell 3 ") != std::string::npos, ran.output);
  done(train("--genome c-2:sep3x3+c-1:max3x3 --out " + (folder / "alone.h5")));
  const auto model = [&](const char* name) {
    renas::Model m = renas::load_model(folder / name);
    return std::tuple(m.genome, m.validation_accuracy, m.weights, m.class_names, m.mean);
  };
  BOOST_TEST((model("list/retrain/3.h5") == model("alone.h5")));
  // A model that does not say how it was trained is known by its network.
  std::filesystem::copy(folder / "list/retrain/3.h5", folder / "copy.h5");
  const std::string again = "--resume --genome c-2:sep3x3+c-1:max3x3 --out " + (folder / "copy.h5");
  BOOST_TEST(done(train(again)).output.find("finished before") != std::string::npos);
  refused(train(again + " --concat-c2"), "copy.h5: expected a model of\n");
  refused(list, "exists and is not empty");
  BOOST_TEST(done(list + "--resume").output.find("3 of them done before") != std::string::npos);
  refused(list + "--resume --momentum 0.5", "Give the same options");
  refused(list + "--force", "--force");
  refused(list + "--genome renasnet", "--genome");
  refused(kPrograms + "renas-inspect run " + (folder / "list"), "renas-train");
  refused(train("--out " + (folder / "bad") + " --list " +
                file("bad.txt", kCells + "c-2:sep3x3+c-9:max3x3\n")),
          "bad.txt:5: genome");
  refused(train("--out " + (folder / "bad") + " --list " + (folder / "none.txt")), "none.txt");
  expect_nothing("bad");
}

#ifdef RENAS_MPIRUN
BOOST_AUTO_TEST_CASE(ranks_share_a_list_and_a_rank_that_is_killed_costs_nothing_but_time) {
  std::string text;
  for (const char* a : {"sep3x3", "sep5x5", "sep7x7"}) {
    for (const char* b : {"sep3x3", "avg3x3", "max3x3"}) {
      text += std::string("c-2:") + a + "+c-1:" + b + "\n";
    }
  }
  const std::string list = train("--list " + file("cells.txt", text) + " --out ");
  done(list + (folder / "one"));
  const std::string mpirun =
      "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_oob_tcp_if_include=lo "
      "OMPI_MCA_btl_tcp_if_include=lo " RENAS_MPIRUN " --oversubscribe -np 2 ";
  done(mpirun + list + (folder / "two"));
  // mpirun ends the job where a rank dies; the folder goes on.
  const Ran killed =
      run_command(mpirun +
                  "sh -c 'if [ \"$OMPI_COMM_WORLD_RANK\" = 1 ]; then (sleep 0.6; kill -9 $$) & fi; "
                  "exec " +
                  list + (folder / "killed") + "'");
  BOOST_TEST_MESSAGE("the killed job ended with " << killed.code);
  const bool begun = std::filesystem::exists(folder / "killed/options.toml");
  if (!begun) std::filesystem::remove_all(folder / "killed");
  done(mpirun + list + (folder / "killed") + (begun ? " --resume" : ""));
  for (const char* name : {"two", "killed"}) {
    const auto cells =
        renas::RunDirectory::open(folder / name, renas::RunDirectory::Kind::kList).trained_cells();
    BOOST_TEST(cells.size() == 9);
    for (int i = 1; i <= 9; ++i) {
      const std::string model = "/retrain/" + std::to_string(i) + ".h5";
      BOOST_TEST((bytes_of(folder / (name + model)) == bytes_of(folder / ("one" + model))));
    }
  }
}
#endif

BOOST_AUTO_TEST_CASE(what_is_wrong_in_a_file_of_options_is_named_with_line_and_key) {
  const auto bad = [&](const std::string& text, const std::string& part) {
    refused(train("--out " + (folder / "bad.h5") + " --config " + file("bad.toml", text)), part);
  };
  bad("# mine\nlearning-rte = 0.1\n", "bad.toml:2: 'learning-rte' is no option");
  bad("\n\nmomentum = 2\n", "bad.toml:3: --momentum");
  bad("lighting = \"much\"\n", "bad.toml:1: --lighting");
  bad("lighting = nan\n", "bad.toml:1: --lighting");
  bad("\nseed = -1\n", "bad.toml:2: --seed");
  bad("momentum = 0.5\n\nmomentum = 0.6\n", "bad.toml:3: 'momentum' stands there twice");
  bad("momentum 0.5\n", "bad.toml:1: expected KEY = VALUE, found 'momentum 0.5'");
  bad("\n[training]\nmomentum = 0.5\n", "bad.toml:3: 'momentum'");
  bad("resume = true\n", "bad.toml:1: 'resume' can be given on the command line only");
  bad("cycles = [1,\n  2,\n  x]\nmomentum = 0.5\n", "bad.toml:1: --cycles");
  expect_nothing("bad.h5");
  // What the command line says again counts, whatever the file says.
  done(train("--genome c-2:sep3x3+c-1:identity --momentum 0.5 --quiet --out " + (folder / "a.h5") +
             " --config " + file("good.toml", "momentum = 2 # too much\n\ncutout=2\n")));
  refused(kPrograms + "renas-inspect --config " + file("bad.toml", "[genome]\ncels = 3\n") +
              " genome renasnet",
          "bad.toml:2: 'cels'");
  refused(kPrograms + "renas-search --run " + (folder / "bad") + " --config " +
              file("bad.toml", "data = \"x\"\nchildren = -3\n"),
          "bad.toml:2: --children");
  refused(kPrograms + "renas-search --run " + (folder / "bad") + " --seed -1 --data x", "--seed");
  expect_nothing("bad");
}

BOOST_AUTO_TEST_SUITE_END()
