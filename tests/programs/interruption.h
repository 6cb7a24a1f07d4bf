#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <optional>
#include <string>
#include <thread>

#include "support/files.h"
#include "support/toy_search.h"

namespace renas::test {

/// A process that can be signalled.
class Process {
 public:
  explicit Process(const std::string& command, const std::string& output = "/dev/null") {
    pid_ = ::fork();
    if (pid_ == 0) {
      ::execl("/bin/sh", "sh", "-c", ("exec " + command + " > " + output + " 2>&1").c_str(),
              nullptr);
      std::_Exit(127);
    }
  }
  void signal(int number) const { ::kill(pid_, number); }
  /// Waits for the end. Returns what Ran::code says.
  int wait() const {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    return code_of(status);
  }
  /// The same where it has ended; none: it is still there.
  std::optional<int> ended() const {
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) == 0) return std::nullopt;
    return code_of(status);
  }

 private:
  static int code_of(int status) {
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  }
  pid_t pid_;
};

inline std::string resume(const std::string& run) {
  return kPrograms + "renas-search --resume --threads 1 --snapshot-seconds 0 --run " + run;
}

/// How many kills a test is to make: RENAS_TEST_KILLS, or `usual`.
inline int wished_kills(int usual) {
  const char* wish = std::getenv("RENAS_TEST_KILLS");
  return wish == nullptr ? usual : std::atoi(wish);
}

/// A toy search that nobody disturbed, in the folder `whole`.
struct Undisturbed {
  Undisturbed() {
    write_toy_file(folder / "data.h5");
    const Ran ran = run_command(toy_search(folder, "whole"));
    BOOST_REQUIRE_MESSAGE(ran.code == 0, ran.output);
    BOOST_TEST(ran.output.find("test accuracy ") != std::string::npos);
  }
  /// Checks that the run `run` found what the run `other` did.
  void expect_same(const std::string& run, const std::string& other = "whole") const {
    BOOST_TEST(history_of(folder / run) == history_of(folder / other));
    BOOST_TEST((bytes_of(folder / (run + "/best.h5")) == bytes_of(folder / (other + "/best.h5"))));
  }
  TemporaryFolder folder;
};

}  // namespace renas::test
