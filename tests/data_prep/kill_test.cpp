// Preparing programs killed at random moments: nothing is left that looks finished.

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "renas/dataset.h"
#include "renas/image.h"
#include "renas/random.h"
#include "support/encode.h"
#include "support/files.h"
#include "support/temporary_folder.h"

namespace fs = std::filesystem;
using renas::test::TemporaryFolder;
using Clock = std::chrono::steady_clock;

namespace {

pid_t start(std::vector<std::string> words) {
  words[0] = RENAS_PROGRAMS "/" + words[0];
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t pid = 0;
  const int failure = posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  BOOST_REQUIRE(failure == 0);
  return pid;
}

// 0 if it ended well, the signal if one ended it.
int ending(pid_t pid) {
  int status = 0;
  waitpid(pid, &status, 0);
  if (WIFSIGNALED(status)) return WTERMSIG(status);
  BOOST_TEST(WEXITSTATUS(status) == 0);
  return 0;
}

/// An image whose file differs from all others, so that it is no duplicate.
std::vector<uint8_t> one_of_many(std::vector<uint8_t> file, int number) {
  file.push_back(static_cast<uint8_t>(number));
  return file;
}

/// Kills `command`, which writes `out` in the folder `scratch`, again and again.
void kill_at_random(const std::vector<std::string>& command, const std::string& scratch,
                    const std::string& out) {
  const char* asked = std::getenv("RENAS_TEST_KILLS");
  const int kills = asked != nullptr ? std::atoi(asked) : 12;
  const auto begin = Clock::now();
  BOOST_TEST(ending(start(command)) == 0);
  const auto whole = std::chrono::duration<double>(Clock::now() - begin).count();
  const auto finished = renas::test::bytes_of(out);
  fs::remove(out);

  renas::Random random(static_cast<uint64_t>(Clock::now().time_since_epoch().count()));
  int killed = 0;
  int left_over = 0;
  for (int i = 0; i < kills; ++i) {
    const pid_t pid = start(command);
    // Half of them near the end, where the file is closed and renamed.
    const double share = i % 2 == 0 ? random.uniform() : random.uniform(0.85, 1.05);
    std::this_thread::sleep_for(std::chrono::duration<double>(whole * share));
    kill(pid, SIGKILL);
    killed += ending(pid) == SIGKILL ? 1 : 0;
    left_over += renas::test::partial_files(scratch) > 0 ? 1 : 0;
    // Either no file, or, where the kill came too late to matter, the whole one.
    if (fs::exists(out)) {
      BOOST_TEST((renas::test::bytes_of(out) == finished));
      fs::remove(out);
    }
  }
  BOOST_TEST_MESSAGE(killed << " of " << kills << " killed, " << left_over << " left a .partial");
  BOOST_TEST(killed > 0);
  BOOST_TEST(left_over > 0);
  // What is left over does not keep the next from working.
  BOOST_TEST(ending(start(command)) == 0);
  BOOST_TEST((renas::test::bytes_of(out) == finished));
  BOOST_TEST(renas::test::partial_files(scratch) == 0);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(kills)

BOOST_AUTO_TEST_CASE(a_killed_program_leaves_no_file_that_looks_finished) {
  const TemporaryFolder scratch;
  const auto image = renas::encode_jpeg(renas::test::colourful(200, 300));
  for (int i = 0; i < 200; ++i) {
    for (const char* split : {"train", "test"}) {
      renas::test::write_bytes((scratch / "in/") + split + "/class" + std::to_string(i % 5) + "/" +
                                   std::to_string(i) + ".jpg",
                               one_of_many(image, i));
    }
  }
  const std::string out = scratch / "out.h5";
  kill_at_random({"renas-prep-images", scratch / "in", out}, scratch.path(), out);
}

BOOST_AUTO_TEST_CASE(nor_does_one_that_writes_images_and_masks) {
  const TemporaryFolder scratch;
  const auto image = renas::encode_jpeg(renas::test::colourful(200, 300));
  renas::Image mask{{1, 200, 300}, {}};
  for (int i = 0; i < 200 * 300; ++i) mask.pixels.push_back(static_cast<uint8_t>(i / 700 % 3));
  const auto classes = renas::encode_lossless(mask);
  std::string ids[2];
  for (int i = 0; i < 200; ++i) {
    const std::string id = std::to_string(i);
    renas::test::write_bytes((scratch / "in/JPEGImages/") + id + ".jpg", one_of_many(image, i));
    renas::test::write_bytes((scratch / "in/SegmentationClass/") + id + ".png", classes);
    ids[i % 4 == 0 ? 1 : 0] += id + "\n";
  }
  renas::test::write_text(scratch / "in/ImageSets/Segmentation/train.txt", ids[0]);
  renas::test::write_text(scratch / "in/ImageSets/Segmentation/val.txt", ids[1]);
  renas::test::write_text(scratch / "in/classes.txt", "sky\nroad\ntree\n");
  const std::string out = scratch / "out.h5";
  kill_at_random({"renas-prep-voc", scratch / "in", out, "--train", "train", "--val", "val"},
                 scratch.path(), out);
}

BOOST_AUTO_TEST_SUITE_END()
