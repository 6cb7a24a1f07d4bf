// Many results go through the queue, the journal and the store; nothing but the history may grow
// by much.

#include <malloc.h>

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include "cluster/driven_queue.h"
#include "store/attempt_log.h"
#include "support/temporary_folder.h"
#include "support/toy_file.h"
#include "support/toy_run.h"

using namespace renas;
using namespace renas::test;
namespace fs = std::filesystem;

namespace {

/// What a run takes at some moment.
struct Taken {
  explicit Taken(const SearchRunOptions& o) {
    for (const auto& entry : fs::recursive_directory_iterator(o.folder)) {
      files += entry.is_regular_file();
    }
    descriptors = std::distance(fs::directory_iterator("/proc/self/fd"), {});
    snapshot = fs::file_size(o.folder + "/search.h5");
    attempts = fs::file_size(o.folder + "/attempts.jsonl");
    memory = mallinfo2().uordblks;
  }
  int files = 0;
  std::ptrdiff_t descriptors = 0;
  std::size_t snapshot = 0, attempts = 0, memory = 0;  ///< bytes
};

}  // namespace

BOOST_AUTO_TEST_SUITE(endurance)

BOOST_AUTO_TEST_CASE(only_the_history_grows) {
  const char* wish = std::getenv("RENAS_TEST_RESULTS");
  const int results = wish == nullptr ? 2000 : std::atoi(wish);
  const TemporaryFolder folder;
  write_toy_file(folder / "data.h5");
  SearchRunOptions o = toy_options(folder, "run");
  if (wish == nullptr) o.strategy.name = "evolution";
  o.children = 100 * results;
  o.snapshot_seconds = 1000;
  constexpr int kRanks = 8;
  std::optional<Taken> before;
  std::optional<Taken> after;
  {
    DrivenQueue driven(o, kRanks);
    for (int hundred = 1; hundred <= results / 100; ++hundred) {
      driven.take(100);
      driven.queue().save_snapshot(true);
      if (hundred == results / 200) before.emplace(o);
    }
    after.emplace(o);
  }
  BOOST_TEST(after->files <= before->files + kRanks);  // parents of those that are out
  BOOST_TEST(after->descriptors == before->descriptors);
  BOOST_TEST(after->attempts < (1 << 20) + 1000);
  // Strategies keep a hash and a fitness of each different network.
  const auto a_result = [results](std::size_t from, std::size_t to) {
    return (static_cast<double>(to) - static_cast<double>(from)) / (results / 2.0);
  };
  BOOST_TEST(a_result(before->snapshot, after->snapshot) < 40);
  BOOST_TEST(a_result(before->memory, after->memory) < 100);

  o.resume = true;
  const RunSetup again = make_setup(o);
  const SearchJournal journal(again, kRanks, nullptr);
  BOOST_TEST(journal.results() == static_cast<uint64_t>(results));
}

BOOST_AUTO_TEST_CASE(a_long_log_of_attempts_is_written_anew) {
  const TemporaryFolder folder;
  const std::string path = folder / "attempts.jsonl";
  std::size_t most = 0;
  {
    AttemptLog log(path);
    log.begin("suspect");
    log.begin("suspect");
    for (int i = 0; i < 12000; ++i) {
      const std::string task = std::to_string(i);
      log.begin(task);
      if (i % 1000 == 0) most = std::max<std::size_t>(most, fs::file_size(path));
      log.end(task);
    }
    log.begin("12000", 3);
  }
  BOOST_TEST(most > 500000);  // it is not written anew all the time
  BOOST_TEST(fs::file_size(path) < 400000);
  const AttemptLog log(path);
  BOOST_TEST(log.unanswered("suspect") == 2);
  BOOST_TEST(log.unanswered("12000", 3) == 1);
  BOOST_TEST(log.unanswered("11999") == 0);
}

BOOST_AUTO_TEST_SUITE_END()
