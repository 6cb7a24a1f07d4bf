// Whole searches on emulated GPUs: ranks with a GPU each, and what happens when one fails.

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>

#include "support/files.h"
#include "support/history.h"
#include "support/mpirun.h"
#include "support/toy_search.h"

using namespace renas::test;

namespace {

const std::string kTwoRanks = kMpirun + "-np 2 ";

struct Folder : TemporaryFolder {
  Folder() { write_toy_file(*this / "data.h5"); }
};

std::string on_gpu(const TemporaryFolder& folder, const std::string& run) {
  return toy_search(folder, run) + "--backend cudnn ";
}

}  // namespace

BOOST_AUTO_TEST_SUITE(searches_on_gpus)

BOOST_AUTO_TEST_CASE(equal_seeds_give_equal_runs_on_either_gpu) {
  const Folder folder;
  BOOST_TEST(run_command(on_gpu(folder, "one")).code == 0);
  // The second rank has the second GPU.
  BOOST_TEST(run_command(kTwoRanks + on_gpu(folder, "two") + "--in-order").code == 0);
  BOOST_TEST(run_command(kTwoRanks + on_gpu(folder, "again") + "--in-order").code == 0);
  BOOST_TEST(history_of(folder / "two") == history_of(folder / "again"));
  const std::string log = content_of(folder / "two/log.txt");
  BOOST_TEST(log.find("Emulated") != std::string::npos, log);
  BOOST_TEST(log.find("GPU-") != std::string::npos, log);
}

BOOST_AUTO_TEST_CASE(ranks_share_a_gpu_only_where_that_is_asked_for) {
  const Folder folder;
  const std::string one_gpu = "RENAS_EMULATED_DEVICES=1 " + kTwoRanks;
  const Ran refused = run_command(one_gpu + on_gpu(folder, "run"));
  BOOST_TEST(refused.code == 2);
  BOOST_TEST(refused.output.find("ranks 0, 1 would share GPU") != std::string::npos,
             refused.output);
  BOOST_TEST(!std::filesystem::exists(folder / "run"));
  BOOST_TEST(run_command(one_gpu + on_gpu(folder, "run") + "--ranks-per-gpu 2").code == 0);
}

BOOST_AUTO_TEST_CASE(a_gpu_is_known_by_its_identity_and_not_by_its_number) {
  const Folder folder;
  const auto ranks = [&](const char* cards_of_0, const char* cards_of_1, const std::string& run) {
    const auto rank = [&](const char* cards) {
      return std::string("-np 1 env ") + cards + " " + on_gpu(folder, run);
    };
    return run_command(kMpirun + rank(cards_of_0) + ": " + rank(cards_of_1));
  };
  // Each sees one card, which is number 0 to it.
  const char* first = "RENAS_EMULATED_DEVICES=1";
  const char* second = "RENAS_EMULATED_DEVICES=1 RENAS_EMULATED_FIRST_DEVICE=1";
  BOOST_TEST(ranks(first, second, "apart").code == 0);
  // The second rank sees two, of which it takes number 1: the card that is number 0 to the first.
  const char* two = "RENAS_EMULATED_DEVICES=2";
  const Ran refused = ranks(second, two, "together");
  BOOST_TEST(refused.code == 2);
  BOOST_TEST(refused.output.find("ranks 0, 1 would share GPU") != std::string::npos,
             refused.output);
}

BOOST_AUTO_TEST_CASE(a_gpu_that_fails_under_two_ranks_ends_both_and_the_run_goes_on) {
  const Folder folder;
  const std::string shared = "RENAS_EMULATED_DEVICES=1 ";
  const std::string command = on_gpu(folder, "run") + "--ranks-per-gpu 2 ";
  // 810 is what MPS says to all its clients when one of them has harmed the card.
  const Ran failed = run_command(
      shared + "RENAS_EMULATED_ERROR_AT=10000 RENAS_EMULATED_ERROR=810 " + kTwoRanks + command);
  BOOST_TEST(failed.code != 0);
  BOOST_TEST(failed.output.find("Only a new process can use the GPU again") != std::string::npos,
             failed.output);
  const Ran rest = run_command(shared + kTwoRanks + kPrograms +
                               "renas-search --resume --ranks-per-gpu 2 --run " + (folder / "run"));
  BOOST_TEST(rest.code == 0, rest.output);
}

BOOST_AUTO_TEST_CASE(a_gpu_that_fails_ends_the_run_which_goes_on_to_the_same_end) {
  const Folder folder;
  BOOST_TEST(run_command(on_gpu(folder, "whole")).code == 0);
  const Ran failed = run_command("RENAS_EMULATED_ERROR_AT=30000 " + on_gpu(folder, "run"));
  BOOST_TEST(failed.code != 0);
  BOOST_TEST(failed.output.find("Only a new process can use the GPU again") != std::string::npos,
             failed.output);
  BOOST_TEST(run_command(kPrograms + "renas-search --resume --run " + (folder / "run")).code == 0);
  BOOST_TEST(history_of(folder / "run") == history_of(folder / "whole"));
}

BOOST_AUTO_TEST_CASE(a_child_that_does_not_fit_is_told_apart_from_a_failure) {
  const Folder folder;
  const Ran ran = run_command("RENAS_EMULATED_OUT_OF_MEMORY_AT=1 " + on_gpu(folder, "run"));
  BOOST_TEST(ran.code == 0, ran.output);
  BOOST_TEST(content_of(folder / "run/history.jsonl").find("out-of-memory") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()
