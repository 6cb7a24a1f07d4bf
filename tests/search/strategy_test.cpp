#include "renas/strategy.h"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <set>

#include "search/strategy_driver.h"

using namespace renas;
using namespace renas::test;

namespace {

/// The area of what the members dominate, fitness by size: sizes from 0 to 45, which the largest
/// genome of three blocks has at most.
double dominated_area(const std::vector<renas::Member>& members) {
  double area = 0;
  for (int size = 0; size < 45; ++size) {
    double best = 0;
    for (const renas::Member& member : members) {
      if (size_of(member.genome) <= size) best = std::max(best, member.fitness);
    }
    area += best;
  }
  return area;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(strategies)

BOOST_AUTO_TEST_CASE(saving_and_loading_goes_on_as_if_never_stopped) {
  for (const StrategyOptions& options : all_options()) {
    for (const bool inherits : {false, true}) {
      BOOST_TEST_CONTEXT(options.name << " " << options.controller << " " << inherits) {
        const SearchSpace space = SearchSpace::renas(3);
        const auto whole = make_strategy(space, options);
        Driver driver(*whole, 9, inherits);
        driver.run(45);
        const renas::State state = whole->save();

        const auto resumed = make_strategy(space, options);
        resumed->load(state);
        BOOST_TEST((resumed->save() == state));
        BOOST_TEST((resumed->in_flight() == whole->in_flight()));
        BOOST_TEST(resumed->in_flight().size() == 6u);
        Driver other = driver.on(*resumed);
        BOOST_TEST((driver.run(60) == other.run(60)));
        BOOST_TEST((whole->population() == resumed->population()));
        BOOST_TEST((whole->finalists() == resumed->finalists()));
        BOOST_TEST((whole->best() == resumed->best()));
        BOOST_TEST((whole->save() == resumed->save()));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(every_strategy_searches_two_cells_and_goes_on_where_it_stopped) {
  const SearchSpace space = SearchSpace::pair(SearchSpace::renas(2), SearchSpace::renas(3));
  for (const StrategyOptions& options : all_options()) {
    BOOST_TEST_CONTEXT(options.name << " " << options.controller) {
      const auto whole = make_strategy(space, options);
      Driver driver(*whole, 9);
      std::set<int> changed;
      for (const Candidate& c : driver.run(60)) {
        BOOST_CHECK_NO_THROW(renas::check_genome(space, c.genome));
        for (const renas::Mutation& m : c.mutations) {
          if (m.from != m.to) changed.insert(space.cell_of(m.block));
        }
      }
      BOOST_TEST(changed.size() ==
                 (options.name == "random" || options.name == "reinforce" ? 0U : 2U));
      const auto resumed = make_strategy(space, options);
      resumed->load(whole->save());
      Driver other = driver.on(*resumed);
      BOOST_TEST((driver.run(30) == other.run(30)));
      BOOST_TEST((whole->save() == resumed->save()));
      // Five blocks of one cell are another space.
      const auto elsewhere = make_strategy(SearchSpace::renas(5), options);
      BOOST_CHECK_THROW(elsewhere->load(whole->save()), InvalidInput);
    }
  }
}

// The paper's rule knows one measure, and so does a fitness that owes nothing to inheritance.
BOOST_AUTO_TEST_CASE(
    effects_differ_from_fitness_only_where_they_are_asked_for_and_weights_inherited) {
  const SearchSpace space = SearchSpace::renas(3);
  for (const StrategyOptions& options : all_options()) {
    for (const bool inherits : {false, true}) {
      BOOST_TEST_CONTEXT(options.name << " " << options.controller << " " << inherits) {
        const auto strategy = make_strategy(space, options);
        Driver(*strategy, 9, inherits).run(80);
        bool differ = false;
        for (const renas::Member& member : strategy->population()) {
          differ = differ || member.effect != member.fitness;
        }
        BOOST_TEST(differ == (inherits && renas::judges_by_effect(options)));
        if (!differ) {
          const bool members = strategy->finalists() == strategy->population();
          BOOST_TEST(members == !renas::finalists_by_mean(options));
        }
        BOOST_TEST(strategy->finalists().size() == static_cast<std::size_t>(options.population));
      }
    }
  }
  StrategyOptions wrong = options_of("renas");
  wrong.judge = "worth";
  BOOST_TEST(holds(message_of([&] { make_strategy(space, wrong); }), "fitness, effect"));
}

// The front of a population without size as an objective ends where its small members left.
BOOST_AUTO_TEST_CASE(size_as_an_objective_keeps_small_networks_beside_accurate_ones) {
  const SearchSpace space = SearchSpace::renas(3);
  for (const char* name : {"renas", "evolution"}) {
    BOOST_TEST_CONTEXT(name) {
      double area[2] = {0, 0};
      for (uint64_t seed = 0; seed < 5; ++seed) {
        for (const bool weighed : {false, true}) {
          StrategyOptions options = options_of(name);
          options.seed = seed;
          if (weighed) options.size = size_of;
          const auto strategy = make_strategy(space, options);
          for (int i = 0; i < 400; ++i) {
            const Candidate candidate = strategy->ask();
            strategy->tell(candidate.id, {Status::kOk, fitness_of(space, candidate.genome)});
          }
          area[weighed] += dominated_area(strategy->population());
        }
      }
      BOOST_TEST(area[true] > area[false] + 5);
    }
  }
  StrategyOptions random = options_of("random");
  random.size = size_of;
  BOOST_TEST(holds(message_of([&] { make_strategy(space, random); }), "no tournaments"));
}

// Members that were trained from scratch are no better cells than children that lost most of their
// fitness by inheritance; a search that judges by fitness never finds that out.
BOOST_AUTO_TEST_CASE(a_search_by_effect_sees_through_what_mutations_break) {
  const SearchSpace space = SearchSpace::renas(5);
  double by[2] = {0, 0};
  for (const bool effect : {false, true}) {
    StrategyOptions options = options_of("evolution");
    options.judge = effect ? "effect" : "fitness";
    options.population = 8;
    options.sample = 3;
    for (options.seed = 0; options.seed < 6; ++options.seed) {
      const auto strategy = make_strategy(space, options);
      Driver(*strategy, options.seed, true).run(90);
      by[effect] += fitness_of(space, strategy->best()->genome) / 6;
    }
  }
  BOOST_TEST(by[1] > by[0] + 0.1, by[0] << " by fitness, " << by[1] << " by effect");
}

BOOST_AUTO_TEST_CASE(a_search_starts_from_known_cells_and_draws_the_rest) {
  const SearchSpace space = SearchSpace::renas(3);
  Random random(8);
  for (StrategyOptions options : all_options()) {
    BOOST_TEST_CONTEXT(options.name) {
      const auto without = make_strategy(space, options);
      options.initial_genomes = {renas::random_genome(space, random),
                                 renas::random_genome(space, random)};
      const auto strategy = make_strategy(space, options);
      const auto resumed = make_strategy(space, options);
      Driver driver(*strategy, 9);
      for (uint64_t id = 0; id < 2; ++id) {
        const Candidate candidate = strategy->ask();
        BOOST_TEST((candidate.genome == options.initial_genomes[id]));
        BOOST_TEST(!candidate.parent);
        BOOST_TEST(candidate.mutations.empty());
        resumed->load(strategy->save());  // also between the two
        strategy->tell(id, {Status::kOk, 0.25});
        resumed->tell(id, {Status::kOk, 0.25});
      }
      // What is drawn then is what would have come first.
      const Candidate drawn = strategy->ask();
      BOOST_TEST(!drawn.parent);
      BOOST_TEST((drawn.id == 2 && resumed->ask() == drawn));
      if (options.name != "reinforce") BOOST_TEST((drawn.genome == without->ask().genome));
      Driver(*strategy, 9).run(40);
      Driver(*resumed, 9).run(40);
      BOOST_TEST((strategy->save() == resumed->save()));
    }
  }
}

BOOST_AUTO_TEST_CASE(a_strategy_says_itself_what_its_controller_has_learnt) {
  const SearchSpace space = SearchSpace::renas(2);
  for (const std::string& name : renas::strategy_names()) {
    const StrategyOptions options = options_of(name);
    const auto strategy = make_strategy(space, options);
    Driver(*strategy, 9).run(60);
    const auto view = strategy->controller_view();
    BOOST_TEST(view.has_value() == name.starts_with("renas"), name);
    if (!view) {
      BOOST_CHECK_THROW(renas::view_controller(space, options, strategy->save()), InvalidInput);
      continue;
    }
    const auto saved = renas::view_controller(space, options, strategy->save());
    BOOST_TEST((saved.router == view->router && saved.choices == view->choices));
    const auto looked_at = strategy->save();
    Driver(*strategy, 4).run(10);
    const auto unseen = make_strategy(space, options);
    unseen->load(looked_at);
    Driver(*unseen, 4).run(10);
    BOOST_TEST((unseen->save() == strategy->save()), "looking changes nothing");
  }
}

BOOST_AUTO_TEST_CASE(equal_seeds_give_equal_runs_and_different_seeds_do_not) {
  for (StrategyOptions options : all_options()) {
    BOOST_TEST_CONTEXT(options.name) {
      const SearchSpace space = SearchSpace::nas_bench_201();
      const auto one = make_strategy(space, options);
      const auto two = make_strategy(space, options);
      options.seed = 4;
      const auto three = make_strategy(space, options);
      const auto asked = Driver(*one, 1).run(60);
      BOOST_TEST((asked == Driver(*two, 1).run(60)));
      BOOST_TEST((asked != Driver(*three, 1).run(60)));
    }
  }
}

BOOST_AUTO_TEST_CASE(candidates_are_what_their_mutations_say) {
  for (const StrategyOptions& options : all_options()) {
    BOOST_TEST_CONTEXT(options.name) {
      const SearchSpace space = SearchSpace::renas(4);
      const auto strategy = make_strategy(space, options);
      std::map<uint64_t, Genome> genomes;
      std::set<uint64_t> alive;
      int children = 0;
      for (int i = 0; i < 120; ++i) {
        const Candidate candidate = strategy->ask();
        BOOST_TEST(candidate.id == static_cast<uint64_t>(i));
        renas::check_genome(space, candidate.genome);
        genomes[candidate.id] = candidate.genome;
        if (candidate.parent) {
          ++children;
          BOOST_TEST(alive.contains(*candidate.parent));
          BOOST_TEST(strategy->keeps(*candidate.parent));
          for (const renas::Mutation& m : candidate.mutations) {
            BOOST_TEST(genomes[*candidate.parent][m.slot] == m.from);
          }
          BOOST_TEST(
              (renas::apply(genomes[*candidate.parent], candidate.mutations) == candidate.genome));
        }
        const renas::Told told =
            strategy->tell(candidate.id, {Status::kOk, fitness_of(space, candidate.genome)});
        if (told.joined) {
          alive.insert(candidate.id);
        }
        if (told.removed) {
          BOOST_TEST(alive.erase(*told.removed) == 1u);
        }
        std::set<uint64_t> population;
        for (const auto& member : strategy->population()) {
          population.insert(member.id);
        }
        BOOST_TEST((population == alive));
        BOOST_TEST(alive.size() == std::min<std::size_t>(20, i + 1));
      }
      const bool evolves = options.name != "random" && options.name != "reinforce";
      BOOST_TEST(children == (evolves ? 100 : 0));
    }
  }
}

BOOST_AUTO_TEST_CASE(one_at_a_time_the_worst_of_the_draw_leaves_and_the_oldest_in_regularized) {
  const SearchSpace space = SearchSpace::renas(5);
  StrategyOptions options = options_of("evolution");
  options.sample = options.population;  // every tournament is the whole population
  const auto evolution = make_strategy(space, options);
  options.name = "regularized";
  const auto regularized = make_strategy(space, options);
  for (int i = 0; i < 100; ++i) {
    for (Strategy* strategy : {evolution.get(), regularized.get()}) {
      const auto before = strategy->population();
      const Candidate candidate = strategy->ask();
      const auto told =
          strategy->tell(candidate.id, {Status::kOk, fitness_of(space, candidate.genome)});
      if (!candidate.parent) {
        continue;
      }
      const auto less = [](const renas::Member& a, const renas::Member& b) {
        return a.fitness < b.fitness;
      };
      const auto best = std::max_element(before.begin(), before.end(), less);
      const auto worst = std::min_element(before.begin(), before.end(), less);
      const auto parent = std::find_if(before.begin(), before.end(), [&](const auto& member) {
        return member.id == *candidate.parent;
      });
      BOOST_TEST(parent->fitness == best->fitness);
      const auto left = std::find_if(before.begin(), before.end(), [&](const auto& member) {
        return member.id == *told.removed;
      });
      if (strategy == regularized.get()) {
        BOOST_TEST((told.removed == before.front().id));
      } else {
        BOOST_TEST(left->fitness == worst->fitness);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(finalists_by_posterior_mean_are_better_and_change_no_decision) {
  const SearchSpace space = SearchSpace::renas(3);
  for (const char* name : {"renas", "evolution"}) {
    double gain = 0;  // of the best's true fitness
    for (uint64_t seed = 0; seed < 16; ++seed) {
      StrategyOptions options = options_of(name);
      options.seed = seed;
      const auto plain = make_strategy(space, options);
      options.finalists = "posterior-mean";
      const auto by_mean = make_strategy(space, options);
      const auto unasked = make_strategy(space, options);
      Random random(seed);
      for (int i = 0; i < 150; ++i) {
        const Candidate c = plain->ask();
        BOOST_REQUIRE((by_mean->ask() == c && unasked->ask() == c));
        const double fitness =
            std::clamp(0.2 + 0.5 * fitness_of(space, c.genome) + 0.1 * random.normal(), 0.0, 1.0);
        for (Strategy* s : {plain.get(), by_mean.get(), unasked.get()}) {
          s->tell(c.id, {Status::kOk, fitness});
        }
        if (i % 10 == 0) BOOST_TEST(std::ssize(by_mean->finalists()) == std::min(20, i + 1));
        BOOST_TEST((by_mean->population() == plain->population()));
      }
      // When it is asked changes nothing either.
      BOOST_TEST((by_mean->save() == unasked->save()));
      BOOST_TEST((by_mean->finalists() == unasked->finalists()));
      BOOST_TEST((by_mean->best() == by_mean->finalists().front()));
      gain +=
          (fitness_of(space, by_mean->best()->genome) - fitness_of(space, plain->best()->genome)) /
          8;
    }
    BOOST_TEST(gain > 0.02, name << ": " << gain);
  }
}

BOOST_AUTO_TEST_CASE(strategies_without_a_population_keep_their_finalists) {
  const SearchSpace space = SearchSpace::renas(3);
  for (const char* name : {"random", "reinforce"}) {
    StrategyOptions options = options_of(name);
    options.finalists = "posterior-mean";
    const auto strategy = make_strategy(space, options);
    for (int i = 0; i < 30; ++i) {
      const Candidate c = strategy->ask();
      strategy->tell(c.id, {Status::kOk, fitness_of(space, c.genome)});
    }
    BOOST_TEST((strategy->finalists() == strategy->population()));
  }
}

BOOST_AUTO_TEST_CASE(a_parent_is_kept_while_its_child_is_out_even_after_it_left) {
  const SearchSpace space = SearchSpace::renas(3);
  const auto strategy = make_strategy(space, options_of("regularized"));
  Driver(*strategy, 2).run(60);
  const Candidate slow = strategy->ask();
  BOOST_REQUIRE(slow.parent.has_value());
  const auto lives = [&] {
    const auto& members = strategy->population();
    return std::any_of(members.begin(), members.end(),
                       [&](const auto& member) { return member.id == *slow.parent; });
  };
  for (int i = 0; i < 60; ++i) {
    const Candidate quick = strategy->ask();
    strategy->tell(quick.id, {Status::kOk, fitness_of(space, quick.genome)});
  }
  BOOST_TEST(!lives());
  BOOST_TEST(strategy->keeps(*slow.parent));
  strategy->tell(slow.id, {Status::kLost, 0});
  BOOST_TEST((!strategy->keeps(*slow.parent) ||
              std::any_of(strategy->in_flight().begin(), strategy->in_flight().end(),
                          [&](const auto& c) { return c.parent == slow.parent; })));
}

BOOST_AUTO_TEST_CASE(more_candidates_than_the_population_may_be_out_before_the_first_tell) {
  const SearchSpace space = SearchSpace::renas(3);
  for (const StrategyOptions& options : all_options()) {
    const auto strategy = make_strategy(space, options);
    std::vector<Candidate> out;
    for (int i = 0; i < 50; ++i) {
      out.push_back(strategy->ask());
    }
    for (const Candidate& candidate : out) {
      BOOST_TEST(!candidate.parent.has_value());
      strategy->tell(candidate.id, {Status::kOk, fitness_of(space, candidate.genome)});
    }
    BOOST_TEST(strategy->population().size() == 20u);
  }
}

BOOST_AUTO_TEST_CASE(a_population_that_hardly_begins_waits) {
  const SearchSpace space = SearchSpace::renas(3);
  for (StrategyOptions options : all_options()) {
    BOOST_TEST_CONTEXT(options.name) {
      options.population = 12;
      options.sample = 4;
      const auto strategy = make_strategy(space, options);
      // A thousand evaluators, of which those that the strategy waits for have nothing to do.
      std::vector<Candidate> out;
      const auto ask = [&] {
        while (out.size() < 1000 && !strategy->waits()) out.push_back(strategy->ask());
      };
      const auto tell_first = [&](Status status) {
        strategy->tell(out.front().id, {status, fitness_of(space, out.front().genome)});
        out.erase(out.begin());
      };
      ask();
      if (!renas::has_tournaments(options.name)) {
        BOOST_TEST(out.size() == 1000U);
        continue;
      }
      BOOST_TEST(out.size() == 12U);
      tell_first(Status::kDiverged);  // another one may begin in its place
      ask();
      BOOST_TEST(out.size() == 12U);
      BOOST_TEST(!out.back().parent.has_value());
      for (int member = 1; member < 4; ++member) {
        tell_first(Status::kOk);
        BOOST_TEST(strategy->waits());
      }
      const renas::State state = strategy->save();
      const auto loaded = make_strategy(space, options);
      loaded->load(state);
      BOOST_TEST(loaded->waits());
      tell_first(Status::kOk);
      ask();
      BOOST_TEST(out.size() == 1000U);
      BOOST_TEST(out.back().parent.has_value());
      const auto without = std::count_if(out.begin(), out.end(),
                                         [](const Candidate& c) { return !c.parent.has_value(); });
      BOOST_TEST(without == 8);
    }
  }
  // Few evaluators never wait, whatever comes back first.
  for (const int count : {1, 2, 6}) {
    StrategyOptions options = options_of("renas");
    options.population = 12;
    const auto strategy = make_strategy(space, options);
    Random random(7);
    std::vector<Candidate> out;
    for (int i = 0; i < 40; ++i) {
      while (std::ssize(out) < count) {
        BOOST_TEST(!strategy->waits());
        out.push_back(strategy->ask());
      }
      const auto k = static_cast<std::ptrdiff_t>(random.below(out.size()));
      strategy->tell(out[k].id, {Status::kOk, fitness_of(space, out[k].genome)});
      out.erase(out.begin() + k);
    }
  }
}

BOOST_AUTO_TEST_CASE(equal_rewards_teach_nothing) {
  // The mean of many tenths is no tenth to the last bit.
  const SearchSpace space = SearchSpace::renas(3);
  StrategyOptions options = options_of("renas");
  options.critic = 0;
  for (const double fitness : {0.1, 0.3}) {
    const auto strategy = make_strategy(space, options);
    for (int i = 0; i < 300; ++i) {
      strategy->tell(strategy->ask().id, {Status::kOk, fitness});
    }
    const std::vector<double> entropy = strategy->controller_view()->entropy;
    BOOST_TEST(std::abs(entropy.back() - entropy.front()) < 0.1, fitness);
  }
}

BOOST_AUTO_TEST_CASE(the_controller_learns_what_chance_does_not) {
  // Children of the trained controller are better than those of one that never learns.
  const SearchSpace space = SearchSpace::renas(5);
  for (const std::string controller : {"paper", "default"}) {
    double fitness[2] = {0, 0};
    for (uint64_t seed = 0; seed < 3; ++seed) {
      for (int learns = 0; learns < 2; ++learns) {
        StrategyOptions options = options_of(learns ? "renas" : "renas-frozen", controller);
        options.seed = seed;
        const auto strategy = make_strategy(space, options);
        for (int i = 0; i < 600; ++i) {
          const Candidate candidate = strategy->ask();
          const double f = 0.3 + 0.6 * fitness_of(space, candidate.genome);
          strategy->tell(candidate.id, {Status::kOk, f});
          if (i >= 500) {
            fitness[learns] += f / 300;
          }
        }
      }
    }
    BOOST_TEST(fitness[1] > fitness[0] + 0.05, controller);
  }
}

BOOST_AUTO_TEST_SUITE_END()
