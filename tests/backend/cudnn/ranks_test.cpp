// Trainings of real ranks, an emulated GPU to each, whose gradients are summed by NCCL or through
// the hosts.
#include <boost/test/unit_test.hpp>
#include <filesystem>

#include "support/files.h"
#include "support/mpirun.h"
#include "support/toy_search.h"

using namespace renas::test;

namespace {

const std::string kTwoRanks = kMpirun + "-np 2 ";
const std::string kByNccl = "gradients are summed by NCCL ";
const std::string kThroughHosts = "gradients are summed through the hosts, not among GPUs: ";

struct Fixture {
  TemporaryFolder folder;
  Fixture() { write_toy_file(folder / "data.h5"); }

  std::string train(const std::string& out, const std::string& more = "") const {
    return kPrograms +
           "renas-train --backend cudnn --cells 1 --filters 4 --epochs 1 --batch 16 --threads 1"
           " --validation 20 --auxiliary --data " +
           (folder / "data.h5") + " --out " + (folder / out) + " " + more;
  }
  /// Runs a training that has to end well and to say `part` once.
  void expect(const std::string& command, const std::string& part) const {
    const Ran ran = run_command(command);
    BOOST_TEST(ran.code == 0, ran.output);
    BOOST_TEST(ran.output.find(part) != std::string::npos,
               "'" << ran.output << "' does not say '" << part << "'");
    BOOST_TEST(ran.output.find("gradients are summed") == ran.output.rfind("gradients are summed"),
               ran.output);
  }
  bool equal(const std::string& one, const std::string& other) const {
    return bytes_of(folder / one) == bytes_of(folder / other);
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(trainings_of_ranks_on_gpus, Fixture)

// Of two numbers there is one sum, whoever adds them.
BOOST_AUTO_TEST_CASE(two_ranks_end_with_the_same_bits_by_nccl_and_through_the_hosts) {
  expect(kTwoRanks + train("nccl.h5"), kByNccl);
  expect("RENAS_EMULATED_NO_NCCL=1 " + kTwoRanks + train("hosts.h5"),
         kThroughHosts + "on rank 0 NCCL is not found, as planned");
  expect("RENAS_EMULATED_DEVICES=1 " + kTwoRanks + train("one.h5", "--ranks-per-gpu 2"),
         kThroughHosts + "ranks 0 and 1 share a GPU (GPU-e0e0e0e0-");
  BOOST_TEST(equal("nccl.h5", "hosts.h5"));
  BOOST_TEST(equal("nccl.h5", "one.h5"));
}

BOOST_AUTO_TEST_CASE(a_rank_without_nccl_takes_all_through_the_hosts) {
  const std::string command = train("some.h5");
  expect(kMpirun + "-np 1 " + command + ": -np 1 env RENAS_EMULATED_NO_NCCL=1 " + command,
         kThroughHosts + "on rank 1 NCCL is not found, as planned");
}

BOOST_AUTO_TEST_CASE(three_ranks_clip_and_average_what_nccl_has_summed) {
  const std::string more = "--clip-norm 1 --average 0.9";
  const std::string three = "RENAS_EMULATED_DEVICES=3 " + kMpirun + "-np 3 ";
  expect(three + train("nccl.h5", more), kByNccl);
  expect(three + train("again.h5", more), kByNccl);
  BOOST_TEST(equal("nccl.h5", "again.h5"));
}

BOOST_AUTO_TEST_CASE(a_gpu_that_fails_ends_all_ranks_with_a_message) {
  const std::string command = train("lost.h5");
  const Ran ran = run_command(kMpirun + "-np 1 " + command +
                              ": -np 1 env RENAS_EMULATED_ERROR_AT=1000 " + command);
  BOOST_TEST(ran.code != 0);
  BOOST_TEST(ran.output.find("[rank 1]") != std::string::npos, ran.output);
  BOOST_TEST(ran.output.find("Only a new process can use the GPU again") != std::string::npos,
             ran.output);
  BOOST_TEST(!std::filesystem::exists(folder / "lost.h5"));
}

BOOST_AUTO_TEST_CASE(ranks_that_retrain_the_last_network_of_a_search_sum_by_nccl) {
  const Ran ran = run_command(kTwoRanks + toy_search(folder, "run", "0", 0) +
                              "--backend cudnn"
                              " --retrain-ranks auto");
  BOOST_TEST(ran.code == 0, ran.output);
  BOOST_TEST(ran.output.find("retraining of control1: " + kByNccl) != std::string::npos,
             ran.output);
}

BOOST_AUTO_TEST_SUITE_END()
