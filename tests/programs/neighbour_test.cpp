// Another process fills and frees a small disk all the time. What a program says it finished must
// be whole all the same.

#include <sys/mount.h>

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <thread>

#include "renas/error.h"
#include "renas/model.h"
#include "support/files.h"
#include "support/toy_search.h"

using namespace renas::test;

namespace {

/// A file system of its own in memory.
class SmallDisk {
 public:
  SmallDisk(const std::string& path, const std::string& size) : path_(path) {
    std::filesystem::create_directories(path);
    mounted_ = ::mount("renas-test", path.c_str(), "tmpfs", 0, ("size=" + size).c_str()) == 0;
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  ~SmallDisk() {
    if (mounted_) ::umount(path_.c_str());
  }
  bool mounted() const { return mounted_; }

 private:
  std::string path_;
  bool mounted_ = false;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(neighbours)

BOOST_AUTO_TEST_CASE(a_disk_that_fills_and_empties_damages_nothing) {
  const char* wish = std::getenv("RENAS_TEST_NEIGHBOURS");
  const int runs = wish == nullptr ? 20 : std::atoi(wish);
  const TemporaryFolder folder;
  const SmallDisk disk(folder / "disk", "5m");
  if (!disk.mounted()) {
    BOOST_TEST_MESSAGE("skipped: mounting a file system needs root");
    return;
  }
  write_toy_file(folder / "data.h5");
  const std::string train = kPrograms +
                            "renas-train --cells 1 --filters 32 --epochs 2 --batch 24 --threads 1 "
                            "--quiet --force --genome c-2:sep3x3+c-1:identity --data " +
                            (folder / "data.h5") + " --out ";
  BOOST_REQUIRE(run_command(train + (folder / "right.h5")).code == 0);
  const auto right = bytes_of(folder / "right.h5");

  std::atomic<bool> over{false};
  std::thread neighbour([&] {
    const std::string junk(400000, 'x');
    for (unsigned i = 0; !over; ++i) {
      for (int f = 0; f < 5; ++f) {
        std::ofstream(folder / ("disk/junk" + std::to_string(f))) << junk;
        std::this_thread::sleep_for(std::chrono::microseconds(300 + i * 7919 % 2000));
      }
      for (int f = 0; f < 5; ++f) {
        std::filesystem::remove(folder / ("disk/junk" + std::to_string(f)));
        std::this_thread::sleep_for(std::chrono::microseconds(300 + i * 104729 % 2000));
      }
    }
  });
  int done = 0;
  int refused = 0;
  for (int i = 0; i < runs; ++i) {
    const Ran ran = run_command(train + (folder / "disk/model.h5"));
    if (ran.code == 0) {
      ++done;
      BOOST_TEST((bytes_of(folder / "disk/model.h5") == right),
                 "run " << i << " wrote another model");
    } else {
      ++refused;
      BOOST_TEST(ran.code == 2, ran.output);
      BOOST_TEST(ran.output.find("No space left") != std::string::npos, ran.output);
    }
  }
  over = true;
  neighbour.join();
  BOOST_TEST_MESSAGE(runs << " runs, " << done << " done, " << refused << " refused");
  BOOST_TEST(done + refused == runs);
}

BOOST_AUTO_TEST_SUITE_END()
