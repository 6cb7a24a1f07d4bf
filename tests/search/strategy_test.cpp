#include "renas/strategy.h"

#include <array>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <deque>
#include <limits>
#include <numeric>
#include <set>

#include "renas/error.h"

using renas::Candidate;
using renas::Genome;
using renas::InvalidInput;
using renas::make_strategy;
using renas::Outcome;
using renas::Random;
using renas::SearchSpace;
using renas::Status;
using renas::Strategy;
using renas::StrategyOptions;

namespace {

/// A fitness for tests: the share of slots that hold their last choice.
double fitness_of(const SearchSpace& space, const Genome& genome) {
  double sum = 0;
  for (int i = 0; i < space.slot_count(); ++i) {
    sum += genome[i] + 1 == static_cast<int>(space.slot(i).choices.size()) ? 1 : 0;
  }
  return sum / space.slot_count();
}

/// A size for tests that is at odds with the fitness: the sum of all choices.
double size_of(const Genome& genome) { return std::accumulate(genome.begin(), genome.end(), 0.0); }

StrategyOptions options_of(const std::string& name, const std::string& controller = "default") {
  StrategyOptions options;
  options.name = name;
  options.controller = controller;
  options.seed = 3;
  return options;
}

/// Drives a strategy as a cluster would: several candidates are in flight at once, they are told in
/// random order, and some fail or are never told. Where children inherit, most of their fitness is
/// lost.
class Driver {
 public:
  Driver(Strategy& strategy, uint64_t seed, bool inherits = false)
      : strategy_(strategy), random_(seed), inherits_(inherits) {}

  std::vector<Candidate> run(int steps) {
    std::vector<Candidate> asked;
    for (int i = 0; i < steps; ++i) {
      while (out_.size() < 7) {
        asked.push_back(strategy_.ask());
        out_.push_back(asked.back());
      }
      const std::size_t k = random_.below(out_.size());
      const Candidate candidate = out_[k];
      out_.erase(out_.begin() + static_cast<std::ptrdiff_t>(k));
      const double u = random_.uniform();
      if (u < 0.1) {
        strategy_.tell(candidate.id, {Status::kDiverged, 0});
      } else {
        const double fitness = fitness_of(strategy_.space(), candidate.genome);
        const bool inherits = inherits_ && candidate.parent;
        strategy_.tell(candidate.id, {Status::kOk, inherits ? 0.3 * fitness : fitness,
                                      inherits ? 1 - 0.3 * random_.uniform() : 0});
      }
    }
    return asked;
  }
  Driver on(Strategy& other) const {
    Driver copy(other, 0, inherits_);
    copy.random_ = Random(random_.state());
    copy.out_ = out_;
    return copy;
  }

 private:
  Strategy& strategy_;
  Random random_;
  bool inherits_;
  std::vector<Candidate> out_;
};

std::vector<StrategyOptions> all_options() {
  std::vector<StrategyOptions> all;
  for (const std::string& name : renas::strategy_names()) {
    all.push_back(options_of(name));
  }
  all.push_back(options_of("renas", "paper"));
  all.push_back(options_of("renas"));
  all.back().critic = 5;
  all.back().redraw_repeats = 20;
  all.push_back(options_of("renas"));
  all.back().controller_form = renas::controller_options("default");
  all.back().controller_form->learn_failures = !all.back().controller_form->learn_failures;
  all.push_back(options_of("renas"));
  all.back().controller_form = renas::controller_options("default");
  all.back().controller_form->attention = 4;
  all.back().controller_form->learn_refusals = 8;
  all.back().admits = [](const Genome& genome) { return genome[2] != 0; };
  all.push_back(options_of("evolution"));
  all.back().changes_per_child = {3, 2, 1};
  for (const char* name : {"evolution", "renas"}) {
    all.push_back(options_of(name));
    all.back().judge = "effect";
  }
  for (const char* name : {"regularized", "renas"}) {
    all.push_back(options_of(name));
    all.back().size = size_of;
    all.push_back(options_of(name));
    all.back().finalists = "posterior-mean";
  }
  return all;
}

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

std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const InvalidInput& error) {
    return error.what();
  }
  return "no error";
}

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
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

BOOST_AUTO_TEST_CASE(known_cells_that_cannot_be_the_first_are_refused) {
  const SearchSpace space = SearchSpace::renas(2);
  StrategyOptions options = options_of("renas");
  options.population = 2;
  options.sample = 1;
  const Genome genome(static_cast<std::size_t>(space.slot_count()), 0);
  const auto refused = [&](const std::vector<Genome>& genomes) {
    options.initial_genomes = genomes;
    return message_of([&] { make_strategy(space, options); });
  };
  BOOST_TEST(holds(refused({genome, genome, genome}), "at most 2"));
  BOOST_TEST(holds(refused({genome, {1, 2}}), "initial genome 2"));
  Genome beyond = genome;
  beyond[3] = 99;
  BOOST_TEST(holds(refused({beyond}), "initial genome 1"));
  options.admits = [](const Genome& g) { return g[2] != 0; };
  BOOST_TEST(holds(refused({genome}), "beyond the limits"));
}

// Limits may leave a member without children, or become narrower than what is drawn.
BOOST_AUTO_TEST_CASE(a_search_whose_limits_refuse_everything_drawn_goes_on_with_its_parents) {
  const SearchSpace space = SearchSpace::renas(2);
  for (const char* name : {"renas", "evolution", "regularized"}) {
    bool closed = false;
    StrategyOptions options = options_of(name);
    options.population = 2;
    options.sample = 2;
    options.critic = 0;
    options.admits = [&](const Genome&) { return !closed; };
    const auto strategy = make_strategy(space, options);
    for (int i = 0; i < 2; ++i) strategy->tell(strategy->ask().id, {Status::kOk, 0.1 * i});
    closed = true;
    const Candidate candidate = strategy->ask();
    BOOST_TEST((candidate.genome == strategy->population()[1].genome));
    BOOST_TEST(!candidate.parent);
    strategy->tell(candidate.id, {Status::kOk, 0.5});
    BOOST_TEST(strategy->population().size() == 2u);
    closed = false;
    BOOST_TEST(strategy->ask().parent.has_value());
  }
}

// The same before there are enough members for a tournament, and where no candidate has a parent.
BOOST_AUTO_TEST_CASE(limits_that_refuse_every_cell_without_a_parent_do_not_end_a_search) {
  const SearchSpace space = SearchSpace::renas(2);
  for (const char* name : {"renas", "evolution", "regularized", "random", "reinforce"}) {
    bool closed = false;
    StrategyOptions options = options_of(name);
    options.population = 4;
    options.sample = 2;
    options.critic = 0;
    options.admits = [&](const Genome&) { return !closed; };
    const auto strategy = make_strategy(space, options);
    for (const double fitness : {0.1, 0.3, 0.2}) {
      strategy->tell(strategy->ask().id, {Status::kOk, fitness});
    }
    closed = true;
    const Candidate candidate = strategy->ask();
    BOOST_TEST((candidate.genome == strategy->population()[1].genome));
    BOOST_TEST(!candidate.parent);
    strategy->tell(candidate.id, {Status::kOk, 0.25});
    closed = false;
    BOOST_TEST(!(strategy->ask().genome == candidate.genome));
  }
}

BOOST_AUTO_TEST_CASE(every_strategy_stays_within_a_part_of_the_papers_space) {
  const SearchSpace space = SearchSpace::parse(R"(
    block
      operator o1 sep3x3 identity
      operator o2 identity
    block
      input i1 c-1
      input i2 1
      operator o1 sep3x3
      operator o2 max3x3
    block
      input i1 c-2 2
  )",
                                               renas::Notation::kCell);
  for (const StrategyOptions& options : all_options()) {
    BOOST_TEST_CONTEXT(options.name << " " << options.controller) {
      const auto strategy = make_strategy(space, options);
      std::set<Genome> seen;
      for (const Candidate& c : Driver(*strategy, 9).run(200)) {
        BOOST_CHECK_NO_THROW(renas::check_genome(space, c.genome));
        const std::string text = renas::to_string(space, c.genome);
        BOOST_TEST(holds(text, ",c-1:sep3x3+1:max3x3,"), text);
        seen.insert(c.genome);
      }
      BOOST_TEST(seen.size() > 20u);
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

BOOST_AUTO_TEST_CASE(a_failure_changes_no_population_and_counts_as_done) {
  const SearchSpace space = SearchSpace::renas(3);
  for (const StrategyOptions& options : all_options()) {
    const auto strategy = make_strategy(space, options);
    Driver(*strategy, 2).run(50);
    const auto before = strategy->population();
    const auto counts = strategy->counts();
    for (const Status status : {Status::kDiverged, Status::kOutOfMemory, Status::kLost}) {
      const Candidate candidate = strategy->ask();
      const auto told = strategy->tell(candidate.id, {status, 0.5});
      BOOST_TEST(!told.joined);
      BOOST_TEST(!told.removed.has_value());
    }
    BOOST_TEST((strategy->population() == before));
    BOOST_TEST(strategy->counts().failed == counts.failed + 3);
  }
}

BOOST_AUTO_TEST_CASE(what_fails_by_itself_teaches_where_it_is_asked_to) {
  const SearchSpace space = SearchSpace::renas(3);
  const auto fails = [&](const Genome& genome) {  // an operator that no rank has room for
    return renas::to_string(space, genome).find("sep7x7") != std::string::npos;
  };
  std::array<int, 2> failed{};  // of the last 100 candidates, without and with learning from it
  for (uint64_t seed = 0; seed < 6; ++seed) {
    for (const bool learns : {false, true}) {
      StrategyOptions options = options_of("renas");
      options.seed = seed;
      options.controller_form = renas::controller_options("default");
      options.controller_form->learn_failures = learns;
      const auto strategy = make_strategy(space, options);
      for (int i = 0; i < 300; ++i) {
        const Candidate c = strategy->ask();
        const bool fail = fails(c.genome);
        strategy->tell(c.id, fail ? renas::Outcome{Status::kOutOfMemory}
                                  : renas::Outcome{Status::kOk, fitness_of(space, c.genome)});
        failed[learns ? 1 : 0] += fail && i >= 200 ? 1 : 0;
      }
      // A lost child says nothing of its cell.
      const auto learnt = [&] {
        const renas::State state = strategy->save();
        return std::pair(state.at("controller/parameters"), state.at("critic/genome"));
      };
      for (const Status status : {Status::kLost, Status::kDiverged}) {
        const Candidate c = strategy->ask();
        const auto before = learnt();
        strategy->tell(c.id, {status});
        BOOST_TEST((learnt() == before) == (status == Status::kLost || !learns));
      }
    }
  }
  BOOST_TEST(failed[1] < 0.8 * failed[0], failed[1] << " against " << failed[0]);
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

BOOST_AUTO_TEST_CASE(what_the_limits_refuse_teaches_where_it_is_asked_to) {
  const SearchSpace space = SearchSpace::renas(3);
  for (const char* controller : {"default", "paper"}) {
    std::array<uint64_t, 2>
        refused{};  // draws beyond the limits, without and with learning from it
    for (uint64_t seed = 0; seed < 4; ++seed) {
      for (const bool learns : {false, true}) {
        StrategyOptions options = options_of("renas", controller);
        options.seed = seed;
        options.controller_form = renas::controller_options(controller);
        options.controller_form->critic = 0;
        options.controller_form->learn_refusals = learns ? 8 : 0;
        options.admits = [&](const Genome& genome) {
          return renas::to_string(space, genome).find("sep7x7") == std::string::npos;
        };
        const auto strategy = make_strategy(space, options);
        uint64_t before = 0;
        for (int i = 0; i < 500; ++i) {
          if (i == 300) before = strategy->counts().redrawn_limits;
          const Candidate c = strategy->ask();
          strategy->tell(c.id, {Status::kOk, 0.5 + 0.4 * fitness_of(space, c.genome)});
        }
        refused[learns ? 1 : 0] += strategy->counts().redrawn_limits - before;
        // What was refused since the last result belongs to the state.
        for (int i = 0; i < 5; ++i) {
          const Candidate c = strategy->ask();
          const auto resumed = make_strategy(space, options);
          resumed->load(strategy->save());
          for (Strategy* s : {strategy.get(), resumed.get()}) s->tell(c.id, {Status::kOk, 0.5});
          BOOST_TEST((resumed->save() == strategy->save()));
        }
      }
    }
    BOOST_TEST(refused[1] < 0.7 * refused[0],
               controller << ": " << refused[1] << " against " << refused[0]);
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

BOOST_AUTO_TEST_CASE(misuse_is_named_and_changes_nothing) {
  const SearchSpace space = SearchSpace::renas(3);
  for (const StrategyOptions& options : all_options()) {
    BOOST_TEST_CONTEXT(options.name) {
      const auto strategy = make_strategy(space, options);
      Driver(*strategy, 2).run(50);
      const Candidate out = strategy->ask();
      const renas::State state = strategy->save();
      const auto tell = [&](uint64_t id, double fitness) {
        return message_of([&] { strategy->tell(id, {Status::kOk, fitness}); });
      };
      BOOST_TEST(holds(tell(999, 0.5), "candidate 999 was never asked"));
      BOOST_TEST(holds(tell(out.id, std::numeric_limits<double>::quiet_NaN()), "is nan"));
      BOOST_TEST(holds(tell(out.id, 1.5), "is 1.5; expected an accuracy in [0, 1]"));
      BOOST_TEST(holds(tell(out.id, -0.1), "is -0.1"));
      BOOST_TEST((strategy->save() == state));
      strategy->tell(out.id, {Status::kOk, 0.5});
      const renas::State after = strategy->save();
      BOOST_TEST(holds(tell(out.id, 0.5), "was told before"));
      BOOST_TEST((strategy->save() == after));
    }
  }
}

BOOST_AUTO_TEST_CASE(a_size_that_throws_loses_no_result) {
  const SearchSpace space = SearchSpace::renas(3);
  StrategyOptions options = options_of("renas");
  bool away = false;
  options.size = [&](const Genome& genome) -> double {
    if (away) throw std::runtime_error("the server of sizes is away");
    return genome[0];
  };
  const auto strategy = make_strategy(space, options);
  Driver(*strategy, 1).run(30);
  const Candidate out = strategy->ask();
  const renas::State before = strategy->save();
  away = true;
  BOOST_CHECK_THROW(strategy->tell(out.id, {Status::kOk, 0.999}), std::runtime_error);
  BOOST_TEST((strategy->save() == before));
  away = false;
  BOOST_TEST(strategy->tell(out.id, {Status::kOk, 0.999}).joined);
  BOOST_TEST(strategy->best()->id == out.id);
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

BOOST_AUTO_TEST_CASE(a_wrong_state_is_refused_and_changes_nothing) {
  const SearchSpace space = SearchSpace::renas(3);
  const auto strategy = make_strategy(space, options_of("renas"));
  Driver(*strategy, 2).run(50);
  const renas::State good = strategy->save();
  const auto load = [&](const renas::State& state) {
    return message_of([&] { strategy->load(state); });
  };
  const auto other = make_strategy(space, options_of("evolution"));
  BOOST_TEST(holds(load(other->save()), "of strategy 'evolution', this is 'renas'"));
  const auto elsewhere = make_strategy(SearchSpace::renas(4), options_of("renas"));
  BOOST_TEST(holds(load(elsewhere->save()), "another search space"));
  const auto larger = make_strategy(space, options_of("renas", "paper"));
  BOOST_TEST(holds(load(larger->save()), "'controller/parameters' should hold"));
  for (const auto& [name, array] : good) {
    renas::State broken = good;
    broken.erase(name);
    BOOST_TEST(holds(load(broken), "'" + name + "' is missing"), name);
    broken[name] = std::vector<float>{1, 2, 3, 4, 5, 6, 7};
    BOOST_TEST(holds(load(broken), "'" + name + "'"), name);
  }
  BOOST_TEST((strategy->save() == good));
}

BOOST_AUTO_TEST_CASE(options_out_of_range_are_refused) {
  const SearchSpace space = SearchSpace::renas(3);
  const auto with = [&](const std::function<void(StrategyOptions&)>& change) {
    StrategyOptions options;
    change(options);
    return message_of([&] { make_strategy(space, options); });
  };
  BOOST_TEST(holds(with([](auto& o) { o.sample = 21; }),
                   "sample: expected 1 to 20, the size of the population, got 21"));
  BOOST_TEST(holds(with([](auto& o) { o.sample = 0; }), "sample: expected at least 1, got 0"));
  BOOST_TEST(holds(with([](auto& o) { o.population = 1; }), "population"));
  BOOST_TEST(holds(with([](auto& o) { o.name = "annealing"; }), "got 'annealing'"));
  BOOST_TEST(holds(with([](auto& o) { o.controller = "best"; }), "got 'best'"));
  BOOST_TEST(holds(with([](auto& o) { o.baseline = "mean"; }), "got 'mean'"));
  BOOST_TEST(holds(with([](auto& o) { o.critic = -2; }), "critic"));
  BOOST_TEST(holds(with([](auto& o) { o.finalists = "best"; }), "got 'best'"));
  BOOST_TEST(holds(with([](auto& o) { o.changes_per_child = {1}; }), "only strategy 'evolution'"));
}

BOOST_AUTO_TEST_CASE(limits_and_repeats_are_redrawn_and_counted) {
  const SearchSpace space = SearchSpace::nas_bench_201();
  for (StrategyOptions options : all_options()) {
    BOOST_TEST_CONTEXT(options.name) {
      options.redraw_repeats = 0;
      options.admits = [](const Genome& genome) { return genome[0] != 3; };
      const auto limited = make_strategy(space, options);
      for (const Candidate& candidate : Driver(*limited, 1).run(100)) {
        BOOST_TEST(candidate.genome[0] != 3);
      }
      BOOST_TEST(limited->counts().redrawn_limits > 0u);
      options.admits = nullptr;
      options.redraw_repeats = 50;
      const auto fresh = make_strategy(SearchSpace::renas(1, {"sep3x3", "identity"}), options);
      const auto asked = Driver(*fresh, 1).run(9);  // the space has 10 different networks
      BOOST_TEST(asked.size() == 15u);
      BOOST_TEST(fresh->counts().redrawn_repeats > 0u);
      options.admits = [](const Genome&) { return false; };
      const auto impossible = make_strategy(space, options);
      BOOST_TEST(holds(message_of([&] { impossible->ask(); }), "refused 10000 candidates"));
    }
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
