#include "search/critic/critic.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>

#include "renas/error.h"
#include "renas/objective.h"
#include "renas/strategy.h"
#include "search/critic/quantile.h"

using renas::Candidate;
using renas::Genome;
using renas::Random;
using renas::SearchSpace;
using renas::StrategyOptions;
using renas::search::Critic;
using renas::search::Similarity;

namespace {

double correlation(const std::vector<double>& x, const std::vector<double>& y) {
  const double n = static_cast<double>(x.size());
  double sx = 0, sy = 0, sxx = 0, syy = 0, sxy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    sx += x[i];
    sy += y[i];
    sxx += x[i] * x[i];
    syy += y[i] * y[i];
    sxy += x[i] * y[i];
  }
  return (sxy - sx * sy / n) / std::sqrt((sxx - sx * sx / n) * (syy - sy * sy / n));
}

renas::State run(const SearchSpace& space, const StrategyOptions& options, int pairs) {
  const auto objective = renas::synthetic_objective(space, 3);
  const auto strategy = renas::make_strategy(space, options);
  for (int i = 0; i < pairs; ++i) {
    const Candidate candidate = strategy->ask();
    strategy->tell(candidate.id, {renas::Status::kOk, objective->reward(candidate.genome) / 100});
  }
  return strategy->save();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(critic)

BOOST_AUTO_TEST_CASE(similarity_is_one_for_equal_networks_and_falls_with_every_difference) {
  const SearchSpace space = SearchSpace::renas(5);
  Similarity similarity(space);
  similarity.set(0.7, 0.9);
  const Genome cell = renas::parse_genome(space, renas::kRenasNet);
  Genome swapped = cell;
  std::swap(swapped[0], swapped[1]);
  std::swap(swapped[2], swapped[3]);
  BOOST_TEST(similarity(cell, cell) == 1.0, boost::test_tools::tolerance(1e-12));
  BOOST_TEST(similarity(cell, swapped) == 1.0, boost::test_tools::tolerance(1e-12));
  Genome other = cell;
  double last = 1;
  for (const std::size_t slot : {2, 6, 11, 14, 18}) {
    other[slot] = (other[slot] + 3) % 6;
    const double now = similarity(cell, other);
    BOOST_TEST(now < last);
    BOOST_TEST(now == similarity(other, cell), boost::test_tools::tolerance(1e-12));
    last = now;
  }
}

BOOST_AUTO_TEST_CASE(networks_of_the_same_operators_are_more_alike_than_of_others) {
  const SearchSpace space = SearchSpace::nas_bench_201();
  Similarity similarity(space);
  similarity.set(0.7, 0.8);
  const Genome genome{0, 1, 2, 3, 4, 0};
  const Genome moved{1, 0, 2, 3, 4, 0};     // two slots differ, no count does
  const Genome replaced{3, 4, 2, 3, 4, 0};  // two slots differ, and four counts by one each
  BOOST_TEST(similarity(genome, moved) == 0.7 * 0.7, boost::test_tools::tolerance(1e-12));
  BOOST_TEST(similarity(genome, replaced) == 0.7 * 0.7 * std::pow(0.8, 4),
             boost::test_tools::tolerance(1e-12));
}

BOOST_AUTO_TEST_CASE(quantiles_are_those_of_the_normal_distribution) {
  for (const double z : {-2.5, -1.0, -0.1, 0.5, 1.0, 1.96, 3.0}) {
    const double p = 0.5 * std::erfc(-z / std::sqrt(2.0));
    BOOST_TEST(std::abs(renas::search::normal_quantile(p) - z) < 6e-3);
  }
}

BOOST_AUTO_TEST_CASE(it_predicts_what_was_not_trained_and_goes_on_beyond_its_memory) {
  const SearchSpace space = SearchSpace::renas(3);
  const auto objective = renas::synthetic_objective(space, 2);
  renas::ControllerOptions options;
  options.critic_optimism = 0;
  Critic critic(space, options);
  Random random(1);
  std::vector<Genome> unseen;
  std::vector<const Genome*> pointers;
  std::vector<double> truth;
  for (int i = 0; i < 200; ++i) {
    unseen.push_back(renas::random_genome(space, random));
  }
  for (const Genome& genome : unseen) {
    pointers.push_back(&genome);
    truth.push_back(objective->reward(genome));
  }
  const auto learn = [&](int results) {
    for (int i = 0; i < results; ++i) {
      const Genome genome = renas::random_genome(space, random);
      critic.learn(genome, (objective->reward(genome) + 0.5 * random.normal()) / 100);
    }
    return correlation(critic.rank(pointers), truth);
  };
  const double few = learn(20);
  const double many = learn(280);
  BOOST_TEST(many > 0.7);
  BOOST_TEST(many > few);
  BOOST_TEST(learn(900) > 0.7);  // 1,200 results, of which 1,000 at most are kept
}

BOOST_AUTO_TEST_CASE(repeats_are_drawn_again_once_fitness_has_proved_exact_and_not_under_noise) {
  const SearchSpace space = SearchSpace::nas_bench_201();
  StrategyOptions options;
  options.seed = 2;
  renas::ControllerOptions form = renas::controller_options("default");
  form.redraw_exact = 20;
  form.critic = 0;
  options.controller_form = form;
  for (const bool noisy : {false, true}) {
    const auto strategy = renas::make_strategy(space, options);
    Random random(1);
    for (int i = 0; i < 400; ++i) {
      const Candidate candidate = strategy->ask();
      double fitness = 0.3;
      for (const int choice : candidate.genome) {
        fitness += choice == 3 ? 0.1 : 0;
      }
      if (noisy) {
        fitness += 0.01 * random.uniform();
      }
      strategy->tell(candidate.id, {renas::Status::kOk, fitness});
    }
    if (noisy) {
      BOOST_TEST(strategy->counts().redrawn_repeats == 0u);
      BOOST_TEST(strategy->counts().repeats > 150u);
    } else {
      BOOST_TEST(strategy->counts().redrawn_repeats > 100u);
      BOOST_TEST(strategy->counts().repeats < 60u);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_look_into_a_controller_shows_probabilities_and_a_falling_entropy) {
  const SearchSpace space = SearchSpace::renas(4);
  StrategyOptions options;
  const renas::ControllerView view =
      renas::view_controller(space, options, run(space, options, 320));
  BOOST_REQUIRE(view.router.size() == 4u);
  BOOST_REQUIRE(view.choices.size() == 16u);
  for (const auto& probabilities : view.router) {
    double sum = 0;
    for (const double p : probabilities) {
      sum += p;
    }
    BOOST_TEST(probabilities.size() == 4u);
    BOOST_TEST(sum == 1.0, boost::test_tools::tolerance(1e-5));
  }
  for (int slot = 0; slot < 16; ++slot) {
    const auto& probabilities = view.choices[slot];
    double sum = 0;
    for (const double p : probabilities) {
      sum += p;
    }
    BOOST_TEST(probabilities.size() == space.slot(slot).choices.size());
    BOOST_TEST(sum == 1.0, boost::test_tools::tolerance(1e-5));
  }
  BOOST_REQUIRE(view.entropy.size() == 300u);
  // A controller that has hardly learnt is nearly uniform, a trained one is not. The mean is taken
  // over some children, because one child's entropy also depends on how many choices the slots have
  // that the router picked.
  const double early = std::accumulate(view.entropy.begin(), view.entropy.begin() + 10, 0.0) / 10;
  BOOST_TEST(early == view.largest_entropy, boost::test_tools::tolerance(0.05));
  BOOST_TEST(view.entropy.back() < 0.95 * view.largest_entropy);

  options.name = "evolution";
  BOOST_CHECK_THROW(renas::view_controller(space, options, run(space, options, 30)),
                    renas::InvalidInput);
}

BOOST_AUTO_TEST_SUITE_END()
