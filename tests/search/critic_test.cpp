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
#include "search/critic/deficits.h"
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

/// The similarity of two genomes under rho and kappa.
double similarity_of(const SearchSpace& space, double rho, double kappa, const Genome& a,
                     const Genome& b) {
  Similarity held(space);
  held.add(b);
  held.set(rho, kappa);
  double value = 0;
  held.compare(a, 0, 1, &value);
  return value;
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
  const auto similarity = [&](const Genome& a, const Genome& b) {
    return similarity_of(space, 0.7, 0.9, a, b);
  };
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
  const auto similarity = [&](const Genome& a, const Genome& b) {
    return similarity_of(space, 0.7, 0.8, a, b);
  };
  const Genome genome{0, 1, 2, 3, 4, 0};
  const Genome moved{1, 0, 2, 3, 4, 0};     // two slots differ, no count does
  const Genome replaced{3, 4, 2, 3, 4, 0};  // two slots differ, and four counts by one each
  BOOST_TEST(similarity(genome, moved) == 0.7 * 0.7, boost::test_tools::tolerance(1e-12));
  BOOST_TEST(similarity(genome, replaced) == 0.7 * 0.7 * std::pow(0.8, 4),
             boost::test_tools::tolerance(1e-12));
}

BOOST_AUTO_TEST_CASE(comparing_with_many_is_comparing_with_each) {
  for (const SearchSpace& space : {SearchSpace::renas(5), SearchSpace::nas_bench_201()}) {
    Random random(4);
    Similarity held(space);
    std::vector<bool> dropped;
    for (int i = 0; i < 40; ++i) {
      held.add(renas::random_genome(space, random));
      dropped.push_back(i % 3 == 0);
    }
    held.set(0.6, 0.85);
    held.drop(dropped);
    BOOST_REQUIRE(held.size() == 26u);
    const Genome genome = renas::random_genome(space, random);
    std::vector<double> row(20);
    held.compare(genome, 5, 25, row.data());
    for (std::size_t i = 0; i < row.size(); ++i) {
      BOOST_TEST(row[i] == similarity_of(space, 0.6, 0.85, genome, held.genomes()[5 + i]));
    }
  }
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

// Members, children and grandchildren, two of them of one parent; a line is broken by a drop.
BOOST_AUTO_TEST_CASE(deficits_of_relatives_vary_together) {
  renas::search::Deficits deficits;
  const renas::search::Descent family[] = {{0, {}, 0, 0},  {1, 0, 1, 1},   {2, {}, 0, 0},
                                           {3, 1, 3, 0.8}, {4, 1, 2, 0.9}, {5, 3, 1, 1.0},
                                           {6, 2, 5, 0.7}, {7, 5, 0, 1.0}};
  for (const auto& descent : family) deficits.add(descent);
  deficits.set(0.5, 1);
  const auto noise = [&](std::size_t i, std::size_t j) {
    renas::search::Deficits none = deficits;
    none.set(0, 1);
    return (deficits.covariance(i, j) - none.covariance(i, j)) / 0.25;
  };
  const double three = std::pow(std::log2(3.0), 2);  // h^2 of two changes; of 1 and 3: 1 and 4
  BOOST_TEST(noise(1, 1) == 1, boost::test_tools::tolerance(1e-12));
  BOOST_TEST(noise(3, 3) == 4 + 0.25 * 1, boost::test_tools::tolerance(1e-12));
  BOOST_TEST(noise(4, 4) == three + 0.25 * 1, boost::test_tools::tolerance(1e-12));
  BOOST_TEST(noise(3, 4) == 0.25 * 1, boost::test_tools::tolerance(1e-12));
  BOOST_TEST(noise(1, 5) == 0.25 * 1, boost::test_tools::tolerance(1e-12));
  BOOST_TEST(noise(5, 4) == 0.125 * 1, boost::test_tools::tolerance(1e-12));
  BOOST_TEST(std::abs(noise(6, 3)) < 1e-12);
  BOOST_TEST(std::abs(noise(0, 1)) < 1e-12);
  BOOST_TEST(noise(7, 5) == 0.5 * noise(5, 5), boost::test_tools::tolerance(1e-12));

  for (const bool broken : {false, true}) {
    if (broken) deficits.drop({false, false, false, true, false, false, false, false});
    const std::vector<double> w{0.3, -0.2, 0.5, 0.9, -0.7, 0.1, 0.4, 0.6};
    const std::span<const double> some(w.data(), deficits.size());
    const std::vector<double> sums = deficits.times(some);
    const double shared = deficits.covariance(0, 0);  // a result from scratch has no deficit
    for (std::size_t i = 0; i < deficits.size(); ++i) {
      double sum = 0;
      for (std::size_t j = 0; j < deficits.size(); ++j) {
        sum += (deficits.covariance(i, j) - shared) * w[j];
      }
      BOOST_TEST(sums[i] == sum, boost::test_tools::tolerance(1e-9));
    }
  }
}

// Fitness as the measurements of real cells have it: children of many changes lose more.
BOOST_AUTO_TEST_CASE(effects_give_children_back_what_their_mutations_broke) {
  const SearchSpace space = SearchSpace::renas(5);
  const auto objective = renas::synthetic_objective(space, 4);
  renas::ControllerOptions options;
  Critic critic(space, options);
  Random random(1);
  struct Cell {
    Genome genome;
    double deficit = 0;
  };
  std::vector<Cell> cells;
  std::vector<double> fitness, truth;
  for (uint64_t id = 0; id < 150; ++id) {
    Cell cell;
    renas::search::Descent descent{id, {}, 0, 0};
    if (id < 10) {
      cell.genome = renas::random_genome(space, random);
    } else {
      const uint64_t parent = random.below(cells.size());
      cell.genome = cells[parent].genome;
      descent = {id, parent, 1 + static_cast<int>(random.below(5)), 0.9};
      for (int c = 0; c < descent.changes; ++c) {
        const auto slot = static_cast<std::size_t>(4 * c + 2);
        cell.genome[slot] = (cell.genome[slot] + 1) % 6;
      }
      cell.deficit = 0.5 * cells[parent].deficit +
                     3 * std::log2(1.0 + descent.changes) * std::exp(0.3 * random.normal());
    }
    truth.push_back(objective->reward(cell.genome));
    fitness.push_back(truth.back() - cell.deficit + random.normal());
    critic.learn(cell.genome, fitness.back() / 100, descent);
    cells.push_back(cell);
  }
  BOOST_TEST(critic.corrects());
  std::vector<double> effects;
  double children = 0;
  for (const auto& effect : critic.effects()) {
    effects.push_back(100 * effect.value);
    if (effect.id >= 10) children += (effects.back() - truth[effect.id]) / 140;
  }
  BOOST_TEST(correlation(effects, truth) > correlation(fitness, truth) + 0.1);
  BOOST_TEST(correlation(effects, truth) > 0.85);
  BOOST_TEST(std::abs(children) < 2.5);
}

BOOST_AUTO_TEST_CASE(what_it_forgets_is_old_and_not_among_the_best) {
  const SearchSpace space = SearchSpace::renas(2);
  Critic critic(space, renas::ControllerOptions());
  Random random(1);
  for (uint64_t id = 0; id < 1001; ++id) {
    critic.learn(renas::random_genome(space, random), id == 3 ? 0.9 : 0.5 * random.uniform(),
                 {id, id == 0 ? std::nullopt : std::optional<uint64_t>(0), 1, id == 0 ? 0.0 : 0.9});
  }
  BOOST_REQUIRE(critic.effects().size() == 751u);
  BOOST_TEST(critic.effects().back().id == 1000u);
  BOOST_TEST(std::any_of(critic.effects().begin(), critic.effects().end(),
                         [](const auto& effect) { return effect.id == 3; }));
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
