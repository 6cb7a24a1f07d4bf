// Real processes are stopped, killed, or run out of disk. The resumed run must find what an
// undisturbed one finds.

#include "programs/interruption.h"

#include <filesystem>
#include <fstream>

using namespace renas::test;

namespace {

/// Of toy_search(): children are trained from scratch, as by default.
const std::string kFromScratch = "--inherit=false ";

/// Waits until the run has `lines` results.
void wait_for_lines(const std::string& run, std::size_t lines) {
  for (int i = 0; i < 120000; ++i) {  // ten minutes: machines may be busy
    std::ifstream in(run + "/history.jsonl");
    std::size_t found = 0;
    for (std::string line; std::getline(in, line);) ++found;
    if (found >= lines) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  BOOST_FAIL("the run does not get to " << lines << " results");
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(interruptions, Undisturbed)

BOOST_AUTO_TEST_CASE(a_signal_stops_in_order_and_resume_goes_on) {
  for (const int number : {SIGTERM, SIGINT, SIGUSR1, SIGHUP}) {
    const std::string name = "run" + std::to_string(number);
    const Process process(toy_search(folder, name));
    wait_for_lines(folder / name, 3);
    process.signal(number);
    const int code = process.wait();
    BOOST_TEST((code == 3 || code == 0), "exit code " << code);
    BOOST_TEST(run_command(resume(folder / name)).code == 0);
    expect_same(name);
  }
}

BOOST_AUTO_TEST_CASE(a_killed_run_resumes_as_if_nothing_had_happened) {
  BOOST_REQUIRE(run_command(toy_search(folder, "anew") + kFromScratch).code == 0);
  unsigned moment = 12345;
  const auto kill_often = [&](const std::string& options, const std::string& whole, int kills) {
    int done = 0;
    for (int attempt = 0; done < kills; ++attempt) {
      const std::string name = whole + std::to_string(attempt);
      const auto is_run = [&] {
        return std::filesystem::exists(folder / (name + "/options.toml"));
      };
      bool finished = false;
      for (bool first = true; !finished && done < kills; first = false) {
        if (!first && !is_run()) std::filesystem::remove_all(folder / name);
        const Process process(is_run() ? resume(folder / name)
                                       : toy_search(folder, name) + options);
        moment = moment * 1664525 + 1013904223;
        std::this_thread::sleep_for(std::chrono::milliseconds(50 + (moment >> 8) % 700));
        process.signal(SIGKILL);
        const int code = process.wait();
        BOOST_TEST((code == 0 || code == 1000 + SIGKILL), "exit code " << code);
        finished = code == 0;
        done += !finished;
      }
      if (!finished) {
        if (!is_run()) continue;
        const Ran ran = run_command(resume(folder / name));
        BOOST_TEST(ran.code == 0, ran.output);
      }
      expect_same(name, whole);
    }
  };
  const int kills = wished_kills(6);
  kill_often("", "whole", kills / 2);
  kill_often(kFromScratch, "anew", kills - kills / 2);
}

#ifdef RENAS_FULL_DISK
BOOST_AUTO_TEST_CASE(a_full_disk_stops_the_run_and_loses_nothing) {
  // The first file that does not fit is the coordinator's snapshot, or a worker's weights.
  for (const char* snapshots : {"0", "1000"}) {
    const std::string name = std::string("run") + snapshots;
    const Ran full = run_command("RENAS_DISK_BYTES=12000 LD_PRELOAD=" RENAS_FULL_DISK " " +
                                 toy_search(folder, name, snapshots));
    BOOST_TEST(full.code == 2, full.output);
    BOOST_TEST(full.output.find("No space left") != std::string::npos, full.output);
    const Ran rest = run_command(resume(folder / name));
    BOOST_TEST(rest.code == 0, rest.output);
    expect_same(name);
  }
}
#endif

#ifdef RENAS_MPIRUN
BOOST_AUTO_TEST_CASE(two_ranks_share_the_children_and_agree_with_their_streams) {
  const std::string mpirun = on_ranks(2);
  const Ran ran = run_command(mpirun + toy_search(folder, "two"));
  BOOST_REQUIRE_MESSAGE(ran.code == 0, ran.output);
  const auto one = renas::RunDirectory::open(folder / "whole").history();
  const auto two = renas::RunDirectory::open(folder / "two").history();
  BOOST_REQUIRE(two.size() == one.size());
  int ranks[2] = {0, 0};
  for (const auto& e : two) {
    ++ranks[e.rank];
    // The first members have no parent, so they do not depend on the rank that trained them.
    for (const auto& other : one) {
      if (other.id != e.id || e.parent) continue;
      BOOST_TEST(other.genome == e.genome);
      BOOST_TEST(other.fitness == e.fitness);
    }
  }
  BOOST_TEST(ranks[0] > 0);
  BOOST_TEST(ranks[1] > 0);

  // A mistake is said once, by rank 0, with the exit code of a mistake.
  const Ran wrong = run_command(mpirun + toy_search(folder, "two"));
  BOOST_TEST(wrong.code == 2, wrong.output);
  const auto first = wrong.output.find("exists and is not empty");
  BOOST_TEST(first != std::string::npos);
  BOOST_TEST(wrong.output.find("exists and is not empty", first + 1) == std::string::npos);
}
#endif

BOOST_AUTO_TEST_SUITE_END()
