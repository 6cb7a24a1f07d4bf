// Ranks that train one network together in a search's retraining.

#include <algorithm>
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <map>
#include <mutex>
#include <numeric>
#include <vector>

#include "cluster/group_communicator.h"
#include "cluster/run_setup.h"
#include "renas/error.h"
#include "renas/model.h"
#include "support/files.h"
#include "support/thread_checks.h"
#include "support/thread_communicator.h"
#include "support/thread_transport.h"
#include "support/toy_file.h"
#include "support/toy_run.h"

using namespace renas;
using namespace renas::test;

namespace {

/// A rank's sudden end: what no code of the library catches.
struct Died {};

struct Fixture {
  TemporaryFolder folder;
  Fixture() { write_toy_file(folder / "data.h5"); }

  /// Four members and a control: with 2 or 4 ranks one network is left over, with 3 there are two.
  SearchRunOptions options(const std::string& run, int retrain_ranks) const {
    SearchRunOptions o = toy_options(folder, run);
    o.children = 0;
    o.final.batch = 16;
    o.final.recipe.epochs = 3;
    o.retrain_ranks = retrain_ranks;
    return o;
  }

  std::mutex mutex;
  std::string logged;

  /// A search on threads. `on_exchange` is of ThreadTransport::Shared.
  SearchRunResult search(const SearchRunOptions& o, int ranks,
                         const std::atomic<bool>* stop = nullptr,
                         std::function<void(int)> on_exchange = nullptr) {
    ThreadTransport::Shared shared(ranks);
    shared.on_exchange = std::move(on_exchange);
    logged.clear();
    SearchRunHooks hooks;
    hooks.stop = stop;
    hooks.log = [this](LogLevel, std::string_view text) {
      const std::lock_guard lock(mutex);
      logged += std::string(text) + "\n";
    };
    SearchRunResult result;
    on_ranks(shared, [&](Transport& transport) {
      try {
        const SearchRunResult own = run_search(o, transport, hooks);
        if (transport.rank() == 0) result = own;
      } catch (const Died&) {
      }
    });
    return result;
  }
};

/// The bytes of all models that a run has trained, by name.
std::map<std::string, std::vector<uint8_t>> models_of(const SearchRunOptions& o) {
  std::map<std::string, std::vector<uint8_t>> models;
  for (const auto& entry : std::filesystem::directory_iterator(o.folder + "/retrain")) {
    models[entry.path().filename()] = bytes_of(entry.path());
  }
  return models;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(group_communicators)

BOOST_AUTO_TEST_CASE(sums_are_right_and_the_same_on_all_ranks) {
  for (const int ranks : {1, 2, 3, 5}) {
    for (const std::size_t size : {0, 1, 4, 17, 1000}) {
      std::vector<std::vector<float>> found(static_cast<std::size_t>(ranks));
      ThreadTransport::Shared shared(ranks + 1);  // the last is of no group
      on_ranks(shared, [&](Transport& transport) {
        if (transport.rank() == ranks) return;
        std::vector<int> all(static_cast<std::size_t>(ranks));
        std::iota(all.rbegin(), all.rend(), 0);  // in another order than that of the transport
        GroupCommunicator group(transport, all, 7, [] { return false; });
        std::vector<float> values(size);
        for (std::size_t i = 0; i < size; ++i) {
          values[i] = static_cast<float>(group.rank() + 1) * (0.1F + static_cast<float>(i));
        }
        group.sum(std::span<float>(values));
        found[static_cast<std::size_t>(group.rank())] = values;
        BOOST_TEST_IN_THREAD(gather(&group, 3.0 * group.rank()).back() == 3.0 * (ranks - 1));
      });
      const auto times = static_cast<float>(ranks * (ranks + 1) / 2);
      for (std::size_t i = 0; i < size; ++i) {
        BOOST_TEST(found[0][i] == times * (0.1F + static_cast<float>(i)),
                   boost::test_tools::tolerance(1e-5F));
      }
      for (const std::vector<float>& other : found) BOOST_TEST((other == found[0]));
    }
  }
}

BOOST_AUTO_TEST_CASE(a_sum_without_a_partner_is_left_on_request) {
  ThreadTransport::Shared shared(2);
  ThreadTransport transport(shared, 0);
  int asked = 0;
  GroupCommunicator group(transport, {0, 1}, 1, [&] { return ++asked == 3; });
  std::vector<float> values(10, 1.0F);
  BOOST_CHECK_THROW(group.sum(std::span<float>(values)), ExchangeAbandoned);
  BOOST_CHECK_THROW(GroupCommunicator(transport, {1}, 1, nullptr), Error);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(group_retraining, Fixture)

BOOST_AUTO_TEST_CASE(the_network_left_over_is_trained_by_both_ranks) {
  const SearchRunOptions alone = options("alone", 1);
  BOOST_TEST(search(alone, 2).finished);
  BOOST_TEST(logged.find("together") == std::string::npos);
  const SearchRunOptions together = options("together", 0);
  BOOST_TEST(search(together, 2).finished);
  BOOST_TEST(
      logged.find("ranks 0, 1 retrain control1 together: a batch of 8 on each, 16 images a step") !=
          std::string::npos,
      logged);
  auto one = models_of(alone);
  auto two = models_of(together);
  BOOST_TEST(two.size() == 5);
  BOOST_TEST((one.at("control1.h5") != two.at("control1.h5")));

  // It is what two ranks that train together make of it elsewhere.
  const Model model = load_model(together.folder + "/retrain/control1.h5");
  const RunSetup setup = make_setup(together);
  Evaluation expected;
  on_ranks(2, [&](Communicator& communicator) {
    FinalOptions final = setup.options.final;
    final.batch = 8;
    final.communicator = &communicator;
    FinalState state;
    state.training.seed = Random(together.strategy.seed, Purpose::kRetrain, 4).bits64();
    const auto backend = make_backend(final.device);
    const Evaluation evaluation =
        train_from_scratch(*backend, setup.space, parse_genome(setup.space, model.genome), state,
                           setup.final, final, {}, nullptr);
    if (communicator.rank() == 0) expected = evaluation;
  });
  BOOST_TEST((model.weights == expected.weights));
  BOOST_TEST(model.validation_accuracy == expected.score.accuracy);

  // The others had a rank each, as ever.
  one.erase("control1.h5");
  two.erase("control1.h5");
  BOOST_TEST((one == two));
}

BOOST_AUTO_TEST_CASE(equal_runs_have_equal_bits_and_so_has_one_that_was_stopped) {
  const SearchRunOptions first = options("first", 4);
  BOOST_TEST(search(first, 4).finished);
  BOOST_TEST(logged.find("ranks 0, 1, 2, 3 retrain control1 together: a batch of 4 on each, 16") !=
                 std::string::npos,
             logged);
  const SearchRunOptions second = options("second", 4);
  BOOST_TEST(search(second, 4).finished);
  BOOST_TEST((models_of(first) == models_of(second)));

  SearchRunOptions third = options("third", 4);
  std::atomic<bool> stop{false};
  const std::string checkpoint = third.folder + "/retrain/control1.checkpoint.h5";
  const SearchRunResult stopped = search(third, 4, &stop, [&](int rank) {
    if (rank == 2 && std::filesystem::exists(checkpoint)) stop = true;
  });
  BOOST_TEST(!stopped.finished);
  BOOST_TEST(std::filesystem::exists(checkpoint));
  BOOST_TEST(!std::filesystem::exists(third.folder + "/retrain/control1.h5"));
  third.resume = true;
  BOOST_TEST(search(third, 4).finished);
  BOOST_TEST((models_of(first) == models_of(third)));

  // Another number of ranks goes on too, and says so.
  SearchRunOptions fourth = options("fourth", 4);
  stop = false;
  const std::string reached = fourth.folder + "/retrain/control1.checkpoint.h5";
  search(fourth, 4, &stop, [&](int rank) {
    if (rank == 2 && std::filesystem::exists(reached)) stop = true;
  });
  fourth.resume = true;
  BOOST_TEST(search(fourth, 1).finished);
  BOOST_TEST(logged.find("trained by 4 ranks up to epoch") != std::string::npos, logged);
}

BOOST_AUTO_TEST_CASE(a_rank_lost_from_a_group_costs_the_others_nothing_but_time) {
  const SearchRunOptions whole = options("whole", 2);
  BOOST_TEST(search(whole, 4).finished);
  SearchRunOptions lossy = options("lossy", 2);
  lossy.worker_timeout = 2;
  std::atomic<int> exchanges{0};
  const SearchRunResult result = search(lossy, 4, nullptr, [&](int rank) {
    if (rank != 0 && ++exchanges == 30) throw Died{};
  });
  BOOST_TEST(result.finished);
  BOOST_TEST(result.silent_ranks == 1);
  const std::string begun = "retrain control1 together";
  BOOST_TEST(logged.find(begun) != logged.rfind(begun), logged);
  BOOST_TEST(logged.find("going on without it") != std::string::npos, logged);
  // Two others take over; which ranks train a network does not change its bits.
  BOOST_TEST((models_of(whole) == models_of(lossy)));
}

BOOST_AUTO_TEST_CASE(a_batch_that_cannot_be_shared_is_refused) {
  try {
    make_setup(options("bad", 3));
    BOOST_TEST(false, "taken");
  } catch (const InvalidInput& e) {
    BOOST_TEST(std::string(e.what()).find("retrain_ranks 3: a batch of 16") == 0U, e.what());
  }
}

BOOST_AUTO_TEST_SUITE_END()
