// renas-train: one network trained by real ranks, which are killed; recipes by name.

#include <boost/test/unit_test.hpp>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "programs/interruption.h"
#include "renas/model.h"
#include "support/files.h"
#include "support/mpirun.h"
#include "support/toy_search.h"

using namespace renas::test;

namespace {

struct Fixture {
  TemporaryFolder folder;
  std::string epochs = "12";
  Fixture() { write_toy_file(folder / "data.h5"); }

  std::string train(const std::string& out, const std::string& more = "",
                    const std::string& data = "data.h5") const {
    return kPrograms +
           "renas-train --cells 1 --filters 4 --batch 16 --threads 1 --validation 20"
           " --dropout 0.2 --drop-path 0.2 --auxiliary --epochs " +
           epochs + " --data " + (folder / data) + " --out " + (folder / out) + " " + more;
  }
  std::string ranks(int number, const std::string& command) const {
    return kMpirun + "-np " + std::to_string(number) + " " + command;
  }
  /// A training of two ranks that write their process ids into a file.
  std::string observed(const std::string& command) const {
    return kMpirun + "-np 2 sh -c 'echo $$ >> " + (folder / "pids") + "; exec " + command + "'";
  }
  /// Stops a training that writes model.h5 after its first checkpoint, long before its end.
  void interrupt(const std::string& command) const {
    const Process job("env " + command);
    while (!std::filesystem::exists(folder / "model.h5.checkpoint")) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    job.signal(SIGTERM);
    BOOST_TEST(job.wait() != 0);
    BOOST_REQUIRE(!std::filesystem::exists(folder / "model.h5"));
  }
  std::vector<pid_t> pids() const {
    std::vector<pid_t> found;
    std::ifstream in(folder / "pids");
    for (pid_t pid = 0; in >> pid;) found.push_back(pid);
    return found;
  }
};

void expect_part(const Ran& ran, const std::string& part) {
  BOOST_TEST(ran.output.find(part) != std::string::npos,
             "'" << ran.output << "' does not say '" << part << "'");
}

}  // namespace

#ifdef RENAS_MPIRUN

BOOST_FIXTURE_TEST_SUITE(train_ranks, Fixture)

BOOST_AUTO_TEST_CASE(killed_ranks_resume_to_the_weights_of_the_undisturbed) {
  const char* wish = std::getenv("RENAS_TEST_KILLS");
  const int kills = wish == nullptr ? 2 : std::atoi(wish);
  const Ran whole = run_command(ranks(2, train("whole.h5")));
  BOOST_REQUIRE_MESSAGE(whole.code == 0, whole.output);
  expect_part(whole, "test accuracy");
  BOOST_TEST(whole.output.find("test accuracy") == whole.output.rfind("test accuracy"));
  unsigned moment = 4711;
  int done = 0;
  for (int attempt = 0; done < kills; ++attempt) {
    const std::string out = "killed" + std::to_string(attempt) + ".h5";
    bool finished = false;
    while (!finished && done < kills) {
      std::filesystem::remove(folder / "pids");
      const bool begun = std::filesystem::exists(folder / (out + ".checkpoint")) ||
                         std::filesystem::exists(folder / out);
      Ran ran;
      std::thread job([&] { ran = run_command(observed(train(out, begun ? "--resume" : ""))); });
      while (pids().size() < 2) std::this_thread::sleep_for(std::chrono::milliseconds(5));
      moment = moment * 1664525 + 1013904223;
      std::this_thread::sleep_for(std::chrono::milliseconds((moment >> 8) % 1200));
      ::kill(pids()[(moment >> 4) % 2], SIGKILL);
      job.join();
      finished = ran.code == 0;
      done += !finished;
    }
    if (!finished) {
      const bool begun = std::filesystem::exists(folder / (out + ".checkpoint")) ||
                         std::filesystem::exists(folder / out);
      const Ran rest = run_command(ranks(2, train(out, begun ? "--resume" : "")));
      BOOST_TEST(rest.code == 0, rest.output);
    }
    BOOST_TEST((bytes_of(folder / out) == bytes_of(folder / "whole.h5")));
  }
}

BOOST_AUTO_TEST_CASE(another_number_of_ranks_goes_on_and_says_so) {
  epochs = "200";
  const std::string command = train("model.h5");
  interrupt(ranks(2, command));
  const Ran one = run_command(command + "--resume");
  BOOST_TEST(one.code == 0, one.output);
  expect_part(one, "the checkpoint is of 2 ranks, now there are 1");
  // All ranks say the scores of what is finished, together.
  const Ran two = run_command(ranks(2, command + "--resume"));
  BOOST_TEST(two.code == 0, two.output);
  const std::string said = one.output.substr(one.output.find("test accuracy"));
  expect_part(two, said);
}

BOOST_AUTO_TEST_CASE(one_rank_is_a_program_without_mpirun) {
  const Ran alone = run_command(train("alone.h5"));
  BOOST_TEST(alone.code == 0, alone.output);
  const Ran rank = run_command(ranks(1, train("rank.h5")));
  BOOST_TEST(rank.code == 0, rank.output);
  BOOST_TEST((bytes_of(folder / "rank.h5") == bytes_of(folder / "alone.h5")));
}

BOOST_AUTO_TEST_CASE(what_ranks_cannot_do_is_said_once) {
  const auto refused = [&](const std::string& command, const std::string& part) {
    const Ran ran = run_command(command);
    BOOST_TEST(ran.code == 2, command << "\n" << ran.output);
    expect_part(ran, part);
    BOOST_TEST(ran.output.find(part) == ran.output.rfind(part), ran.output);
    BOOST_TEST(!std::filesystem::exists(folder / "bad.h5"));
    BOOST_TEST(!std::filesystem::exists(folder / "bad.h5.checkpoint"));
  };
  refused(ranks(2, train("bad.h5", "--subset 30")), "a step takes 32 images, but there are 30");
  write_toy_file(folder / "other.h5", 96, 6);
  refused(kMpirun + "-np 1 " + train("bad.h5") + ": -np 1 " + train("bad.h5", "", "other.h5"),
          "ranks 1 do not see the same data set as rank 0");
  refused(kMpirun + "-np 1 " + train("bad.h5") + ": -np 1 " + train("bad.h5", "--cutout 3"),
          "ranks 1 do not have the same options as rank 0");
}

BOOST_AUTO_TEST_SUITE_END()

#endif  // RENAS_MPIRUN

BOOST_FIXTURE_TEST_SUITE(train_options, Fixture)

BOOST_AUTO_TEST_CASE(a_training_goes_on_with_its_data_wherever_they_lie) {
  epochs = "200";
  interrupt(train("model.h5"));
  const Ran other = run_command(train("model.h5", "--resume --momentum 0.8 --cutout 3"));
  BOOST_TEST(other.code == 2, other.output);
  expect_part(other,
              "model.h5.checkpoint: is of another training: --cutout 0 then, 3 now; "
              "--momentum 0.9 then, 0.8 now. Give the same options");
  std::filesystem::rename(folder / "data.h5", folder / "moved.h5");
  write_toy_file(folder / "data.h5", 96, 6);
  const Ran wrong = run_command(train("model.h5", "--resume"));
  BOOST_TEST(wrong.code == 2, wrong.output);
  expect_part(wrong, "is of another training: --data 96 images of");
  // A checkpoint of an earlier version, which knew the data by their path.
  const std::string file = folder / "model.h5.checkpoint";
  std::string purpose = renas::checkpoint_purpose(file);
  const renas::FinalState state = renas::load_checkpoint(file, purpose);
  const std::size_t from = purpose.find(" --data ") + 8;
  purpose.replace(from, purpose.find(" --", from) - from, folder / "moved.h5");
  renas::save_checkpoint(file, purpose, state);
  const Ran option = run_command(train("model.h5", "--resume --momentum 0.8", "moved.h5"));
  expect_part(option, "is of another training: --momentum 0.9 then, 0.8 now. Give");
  const Ran moved = run_command(train("model.h5", "--resume", "moved.h5"));
  BOOST_TEST(moved.code == 0, moved.output);
  BOOST_TEST(renas::load_model(folder / "model.h5").purpose.find(" --data 96 images of") !=
             std::string::npos);
}

BOOST_AUTO_TEST_CASE(schedules_that_can_hardly_be_meant_are_pointed_out) {
  const auto says = [&](const std::string& options, const std::string& part) {
    const Ran ran = run_command(train("model.h5", "--force " + options));
    BOOST_TEST(ran.code == 0, ran.output);
    const bool warns = ran.output.find("warning") != std::string::npos;
    BOOST_TEST(warns == !part.empty(), options << ": " << ran.output);
    expect_part(ran, part);
  };
  says("--cycles 3,6", "the rate is least after 3, 9 epochs, and the training of 12 ends");
  says("--cycles 3,9", "");
  says("--cycles 3,9,20", "");
  says("--steps 4,8", "--steps does nothing with --schedule cosine");
  says("--schedule steps --steps 4,8", "");
  says("--schedule polynomial --cycles 12", "--cycles does nothing with --schedule polynomial");
  says("--subset 8", "--batch 16: a step takes the 8 training images there are");
  const Ran refused = run_command(train("model.h5", "--force --warm-up 13"));
  BOOST_TEST(refused.code == 2, refused.output);
  expect_part(refused, "--warm-up 13: expected at most the 12 epochs");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(recipes_by_name, Fixture)

BOOST_AUTO_TEST_CASE(a_recipe_gives_defaults_that_options_replace) {
  const std::string command = kPrograms + "renas-train --data " + (folder / "data.h5") +
                              " --validation 20 --threads 1 --out " + (folder / "model.h5") + " ";
  const Ran ran = run_command(command + "--recipe cifar-short --cells 1 --filters 4 --epochs 2");
  BOOST_TEST(ran.code == 0, ran.output);
  expect_part(ran, "epoch 2/2");
  const Ran model = run_command(kPrograms + "renas-inspect model " + (folder / "model.h5"));
  expect_part(model, "N = 1, F = 4");

  // Every recipe is read before the command line, which is then refused.
  for (const char* recipe :
       {"cifar-renas", "cifar-darts", "cifar-short", "imagenet-renas", "imagenet-mobile"}) {
    const Ran refused = run_command(command + "--filters 0 --recipe " + recipe);
    BOOST_TEST(refused.code == 2);
    expect_part(refused, "--filters");
  }
  const Ran unknown = run_command(command + "--recipe cifar-long");
  BOOST_TEST(unknown.code == 2);
  expect_part(unknown, "--recipe cifar-long: there is no such recipe");
  expect_part(unknown, "cifar-renas, cifar-short, imagenet-mobile");
}

BOOST_AUTO_TEST_CASE(a_search_by_the_papers_rule_keeps_its_options) {
  const std::string search = renas::test::toy_search(folder, "run") + "--recipe paper ";
  const Ran ran = run_command(search + "--new-rate 0.02");
  BOOST_TEST(ran.code == 0, ran.output);
  const std::string options = renas::RunDirectory::open(folder / "run").options();
  for (const char* line :
       {"\ncontroller=\"paper\"\n", "\njudge=\"fitness\"\n", "\nchild-anneal=false\n",
        "\nnew-rate=0.02\n", "\ninherited-rate=0.001\n", "\ninherit=true\n",
        "\nfinalists=\"population\"\n"}) {
    BOOST_TEST(options.find(line) != std::string::npos, options);
  }
  // A run that is resumed has its own options, with the recipe named again or not.
  for (const char* recipe : {"--recipe paper", ""}) {
    const Ran again =
        run_command(kPrograms + "renas-search --resume --run " + (folder / "run") + " " + recipe);
    BOOST_TEST(again.code == 0, again.output);
  }
  BOOST_TEST(renas::RunDirectory::open(folder / "run").options() == options);
  const Ran other = run_command(search + "--recipe=cifar-short");
  BOOST_TEST(other.code == 2);
}

BOOST_AUTO_TEST_SUITE_END()
