// Real processes are stopped, killed, or run out of disk. The resumed run must find what an
// undisturbed one finds.

#include <boost/test/unit_test.hpp>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "support/files.h"
#include "support/toy_search.h"

using namespace renas::test;

namespace {

/// A process that can be signalled.
class Process {
 public:
  explicit Process(const std::string& command) {
    pid_ = ::fork();
    if (pid_ == 0) {
      ::execl("/bin/sh", "sh", "-c", ("exec " + command + " > /dev/null 2>&1").c_str(), nullptr);
      std::_Exit(127);
    }
  }
  void signal(int number) const { ::kill(pid_, number); }
  /// As Ran::code.
  int wait() const {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  }

 private:
  pid_t pid_;
};

std::string resume(const std::string& run) {
  return kPrograms + "renas-search --resume --threads 1 --snapshot-seconds 0 --run " + run;
}

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

struct Undisturbed {
  Undisturbed() {
    write_toy_file(folder / "data.h5");
    const Ran ran = run_command(toy_search(folder, "whole"));
    BOOST_REQUIRE_MESSAGE(ran.code == 0, ran.output);
    BOOST_TEST(ran.output.find("test accuracy ") != std::string::npos);
  }
  void expect_same(const std::string& run) {
    BOOST_TEST(history_of(folder / run) == history_of(folder / "whole"));
    BOOST_TEST((bytes_of(folder / (run + "/best.h5")) == bytes_of(folder / "whole/best.h5")));
  }
  TemporaryFolder folder;
};

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
  const char* wish = std::getenv("RENAS_TEST_KILLS");
  const int kills = wish == nullptr ? 4 : std::atoi(wish);
  unsigned moment = 12345;
  int done = 0;
  for (int attempt = 0; done < kills; ++attempt) {
    const std::string name = "run" + std::to_string(attempt);
    bool finished = false;
    for (bool first = true; !finished && done < kills; first = false) {
      const bool is_run = std::filesystem::exists(folder / (name + "/options.toml"));
      if (!first && !is_run) std::filesystem::remove_all(folder / name);
      const Process process(is_run ? resume(folder / name) : toy_search(folder, name));
      moment = moment * 1664525 + 1013904223;
      std::this_thread::sleep_for(std::chrono::milliseconds(50 + (moment >> 8) % 700));
      process.signal(SIGKILL);
      const int code = process.wait();
      BOOST_TEST((code == 0 || code == 1000 + SIGKILL), "exit code " << code);
      finished = code == 0;
      done += !finished;
    }
    if (!finished) {
      const bool is_run = std::filesystem::exists(folder / (name + "/options.toml"));
      if (!is_run) continue;
      const Ran ran = run_command(resume(folder / name));
      BOOST_TEST(ran.code == 0, ran.output);
    }
    expect_same(name);
  }
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
/// The processes whose command line has this text, their launcher among them.
std::vector<pid_t> processes_of(const std::string& text) {
  std::vector<pid_t> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ifstream in(entry.path() / "cmdline", std::ios::binary);
    std::string command(8192, '\0');
    in.read(command.data(), static_cast<std::streamsize>(command.size()));  // it may end meanwhile
    command.resize(static_cast<std::size_t>(in.gcount()));
    if (command.find(text) != std::string::npos) found.push_back(std::stoi(name));
  }
  return found;
}

BOOST_AUTO_TEST_CASE(a_killed_rank_or_launcher_costs_nothing_but_time) {
  const char* wish = std::getenv("RENAS_TEST_KILLS");
  const int kills = wish == nullptr ? 2 : std::atoi(wish);
  const Ran whole = run_command(on_ranks(3) + toy_search(folder, "ordered") + "--in-order");
  BOOST_REQUIRE_MESSAGE(whole.code == 0, whole.output);
  unsigned moment = 2718;
  int done = 0;
  for (int attempt = 0; done < kills; ++attempt) {
    const std::string run = folder / ("ranks" + std::to_string(attempt));
    const auto is_run = [&run] { return std::filesystem::exists(run + "/options.toml"); };
    for (bool finished = false; !finished;) {
      const std::string start =
          on_ranks(3) +
          (is_run() ? resume(run)
                    : toy_search(folder, "ranks" + std::to_string(attempt)) + "--in-order");
      if (done >= kills && is_run()) {
        const Ran rest = run_command(start);
        BOOST_REQUIRE_MESSAGE(rest.code == 0, rest.output);
        break;
      }
      if (!is_run()) std::filesystem::remove_all(run);
      const Process process(start);
      moment = moment * 1664525 + 1013904223;
      std::this_thread::sleep_for(std::chrono::milliseconds(200 + (moment >> 8) % 1500));
      const std::vector<pid_t> processes = processes_of(run);
      if (!processes.empty()) ::kill(processes[(moment >> 20) % processes.size()], SIGKILL);
      finished = process.wait() == 0;
      done += !finished;
      // Ranks whose launcher was killed may live for a moment, and hold the run's lock.
      for (int i = 0; i < 6000 && !processes_of(run).empty(); ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
      }
    }
    BOOST_TEST(history_of(run) == history_of(folder / "ordered"));
    BOOST_TEST((bytes_of(run + "/best.h5") == bytes_of(folder / "ordered/best.h5")));
  }
  BOOST_TEST_MESSAGE(done << " kills");
}

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
