// A whole search with a fault at one of its system calls: it ends with a reason, and resumed it
// ends as an undisturbed one; or it goes on, and says so where that changed anything.

#include <boost/test/unit_test.hpp>
#include <cerrno>

#include "faults/samples.h"
#include "renas/error.h"
#include "support/faulty_system_calls.h"
#include "support/toy_run.h"

using namespace renas;
using namespace renas::test;

namespace {

struct Ended {
  bool well = false;
  std::string reason;
  std::string warnings;
};

Ended run(const SearchRunOptions& options) {
  Ended ended;
  std::mutex mutex;
  SearchRunHooks hooks;
  hooks.log = [&](LogLevel level, std::string_view text) {
    const std::lock_guard lock(mutex);
    if (level >= LogLevel::kWarning) ended.warnings += std::string(text) + "\n";
  };
  try {
    const auto transport = make_local_transport();
    ended.well = run_search(options, *transport, hooks).finished;
  } catch (const Error& e) {
    ended.reason = e.what();
  }
  return ended;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(runs_under_faults)

BOOST_AUTO_TEST_CASE(a_run_ends_with_a_reason_or_as_if_nothing_had_happened) {
  const TemporaryFolder folder;
  write_toy_file(folder / "data.h5");
  const auto options_of = [&](const std::string& name) {
    SearchRunOptions o = toy_options(folder, name);
    o.children = 3;
    o.final.recipe.epochs = 2;
    return o;
  };
  inject({.call = 1 << 30});
  BOOST_REQUIRE(run(options_of("whole")).well);
  const int calls = stop_injecting();
  const std::string right = history_of(folder / "whole");
  const std::string best = content_of(folder / "whole/best.h5");

  int stopped = 0;
  int changed = 0;
  const int step = all_faults() ? 1 : calls / 12;
  int number = 0;
  for (int call = 3; call < calls; call += step, ++number) {
    const Fault faults[] = {{Fault::Kind::kError, EIO, call, false},
                            {Fault::Kind::kTorn, EIO, call, false},
                            {Fault::Kind::kNoSpace, 0, call, true},
                            {Fault::Kind::kShort, 0, call, true}};
    const Fault fault = faults[number % 4];
    SearchRunOptions options = options_of("run");
    inject(fault);
    Ended ended = run(options);
    stop_injecting();
    const std::string what = to_string(fault) + ": ";
    if (!ended.well) {
      ++stopped;
      BOOST_TEST(!ended.reason.empty(), what);
      options.resume = std::filesystem::exists(folder / "run/options.toml");
      const Ended resumed = run(options);
      BOOST_TEST(resumed.well, what << ended.reason << "; then " << resumed.reason);
      ended.warnings += resumed.warnings;
    }
    const std::string history = history_of(folder / "run");
    if (history != right) {
      ++changed;
      // A parent that could not be read: its child was trained from scratch, and the history says
      // so.
      BOOST_TEST(history.find("cannot be used") != std::string::npos, what << ended.warnings);
    } else {
      BOOST_TEST((content_of(folder / "run/best.h5") == best), what << ended.warnings);
    }
    std::filesystem::remove_all(folder / "run");
  }
  BOOST_TEST_MESSAGE(calls << " calls, " << number << " faults, " << stopped << " runs stopped, "
                           << changed << " took another way");
  BOOST_TEST(stopped > 0);
}

BOOST_AUTO_TEST_SUITE_END()
