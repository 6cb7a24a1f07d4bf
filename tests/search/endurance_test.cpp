#include <malloc.h>

#include <boost/test/unit_test.hpp>
#include <string>

#include "renas/objective.h"
#include "renas/strategy.h"

using renas::Candidate;
using renas::SearchSpace;
using renas::StrategyOptions;

namespace {

std::size_t bytes_in_use() { return mallinfo2().uordblks; }

}  // namespace

BOOST_AUTO_TEST_SUITE(endurance)

// Only the history may grow: a hash and a fitness for each different network, and an entropy for
// each child.
BOOST_AUTO_TEST_CASE(a_hundred_thousand_pairs_take_no_memory_beyond_the_history) {
  const SearchSpace space = SearchSpace::renas(2);
  const auto objective = renas::synthetic_objective(space, 1);
  for (const std::string& name : renas::strategy_names()) {
    for (const int critic : {0, 2}) {
      if (critic > 0 && name != "renas") {
        continue;
      }
      StrategyOptions options;
      options.name = name;
      options.critic = critic;
      const auto strategy = renas::make_strategy(space, options);
      std::size_t before = 0;
      constexpr std::size_t kPairs = 100000;
      constexpr std::size_t kWarm = 10000;
      for (std::size_t i = 0; i < kPairs; ++i) {
        if (i == kWarm) {
          before = bytes_in_use();
        }
        const Candidate candidate = strategy->ask();
        strategy->tell(candidate.id,
                       {renas::Status::kOk, objective->reward(candidate.genome) / 100});
      }
      const double grown = static_cast<double>(bytes_in_use()) - static_cast<double>(before);
      BOOST_TEST_MESSAGE(name << " with critic " << critic << " done");
      BOOST_TEST(grown / static_cast<double>(kPairs - kWarm) < 80,
                 name << " with critic " << critic << ": " << grown << " bytes");
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()
