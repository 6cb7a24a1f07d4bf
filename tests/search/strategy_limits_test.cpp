// What strategies refuse, and what is refused of them: limits, failures, misuse.

#include <array>
#include <boost/test/unit_test.hpp>
#include <limits>
#include <set>

#include "search/strategy_driver.h"

using namespace renas;
using namespace renas::test;

BOOST_AUTO_TEST_SUITE(strategies)

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

BOOST_AUTO_TEST_SUITE_END()
