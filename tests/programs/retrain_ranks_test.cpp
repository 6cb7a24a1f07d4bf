// renas-search --retrain-ranks: real ranks that train one network together, and are killed.

#include <boost/test/unit_test.hpp>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "support/files.h"
#include "support/mpirun.h"
#include "support/toy_search.h"

using namespace renas::test;

#ifdef RENAS_MPIRUN

namespace {

struct Fixture {
  TemporaryFolder folder;
  Fixture() { write_toy_file(folder / "data.h5"); }

  /// A search of four members and no children: with their control one network is left over.
  std::string search(int ranks, const std::string& run, const std::string& more) const {
    return kMpirun + "-np " + std::to_string(ranks) + " sh -c 'echo $$ >> " + (folder / "pids") +
           "; exec " + kPrograms + "renas-search --data " + (folder / "data.h5") + " --run " +
           (folder / run) +
           " --blocks 2 --population 4 --sample 2 --children 0 --cells 1 --filters 4 --batch 16"
           " --initial-epochs 1 --retrain-epochs 12 --controls 1 --seed 3 --threads 1 " +
           more + "'";
  }
  std::map<std::string, std::vector<uint8_t>> models(const std::string& run) const {
    std::map<std::string, std::vector<uint8_t>> models;
    for (const auto& entry : std::filesystem::directory_iterator(folder / (run + "/retrain"))) {
      models[entry.path().filename()] = bytes_of(entry.path());
    }
    return models;
  }
  std::vector<pid_t> pids() const {
    std::vector<pid_t> found;
    std::ifstream in(folder / "pids");
    for (pid_t pid = 0; in >> pid;) found.push_back(pid);
    return found;
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(retrain_ranks, Fixture)

BOOST_AUTO_TEST_CASE(two_ranks_share_the_last_network_and_repeat_it_to_the_bit) {
  for (const char* run : {"first", "second"}) {
    const Ran ran = run_command(search(2, run, "--retrain-ranks auto"));
    BOOST_REQUIRE_MESSAGE(ran.code == 0, ran.output);
    BOOST_TEST(ran.output.find("ranks 0, 1 retrain control1 together: a batch of 8 on each, 16 "
                               "images a step") != std::string::npos,
               ran.output);
  }
  BOOST_TEST(models("first").size() == 5);
  BOOST_TEST((models("first") == models("second")));
}

BOOST_AUTO_TEST_CASE(four_ranks_that_are_killed_go_on_to_the_same_bits) {
  const Ran whole = run_command(search(4, "whole", "--retrain-ranks 4"));
  BOOST_REQUIRE_MESSAGE(whole.code == 0, whole.output);
  BOOST_TEST(
      whole.output.find("ranks 0, 1, 2, 3 retrain control1 together: a batch of 4 on each") !=
          std::string::npos,
      whole.output);
  std::filesystem::remove(folder / "pids");
  Ran killed;
  std::thread job([&] { killed = run_command(search(4, "killed", "--retrain-ranks 4")); });
  const std::string checkpoint = folder / "killed/retrain/control1.checkpoint.h5";
  for (int i = 0; i < 60000 && !std::filesystem::exists(checkpoint); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  ::kill(pids().at(2), SIGKILL);
  job.join();
  BOOST_TEST(killed.code != 0, killed.output);
  BOOST_TEST(std::filesystem::exists(checkpoint));
  const Ran rest = run_command(kMpirun + "-np 4 " + kPrograms + "renas-search --run " +
                               (folder / "killed") + " --resume");
  BOOST_TEST(rest.code == 0, rest.output);
  BOOST_TEST((models("whole") == models("killed")));
}

BOOST_AUTO_TEST_CASE(what_ranks_cannot_share_is_refused) {
  for (const auto& [value, part] :
       {std::pair{"3", "retrain_ranks 3: a batch of 16 cannot be shared equally"},
        std::pair{"none", "--retrain-ranks: expected auto, or a number from 1, got 'none'"}}) {
    const Ran ran = run_command(toy_search(folder, "bad") + "--retrain-ranks " + value);
    BOOST_TEST(ran.code == 2, ran.output);
    BOOST_TEST(ran.output.find(part) != std::string::npos, ran.output);
    BOOST_TEST(!std::filesystem::exists(folder / "bad"));
  }
}

BOOST_AUTO_TEST_SUITE_END()

#endif  // RENAS_MPIRUN
