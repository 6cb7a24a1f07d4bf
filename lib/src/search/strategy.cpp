#include "renas/strategy.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "renas/error.h"
#include "search/controller/controller.h"
#include "search/critic/critic.h"
#include "search/evolution.h"
#include "search/mutators.h"
#include "search/random_search.h"
#include "search/reinforce.h"

namespace renas {

void Strategy::adopt(const Candidate& asked, std::optional<uint64_t> /*removed*/) {
  throw InvalidInput(fmt::format(
      "this strategy cannot go on from a candidate {} other than the one it asks for", asked.id));
}

namespace {

template <class T>
void expect(const char* what, T value, bool right, const char* expected) {
  if (!right) {
    throw InvalidInput(fmt::format("{}: expected {}, got {}", what, expected, value));
  }
}

/// Throws InvalidInput unless the initial genomes can be the first candidates.
void check_initial_genomes(const SearchSpace& space, const StrategyOptions& options) {
  const auto count = static_cast<int>(options.initial_genomes.size());
  if (count > options.population) {
    throw InvalidInput(
        fmt::format("initial genomes: expected at most {}, the size of the population, got {}",
                    options.population, count));
  }
  for (int i = 0; i < count; ++i) {
    const Genome& genome = options.initial_genomes[i];
    try {
      check_genome(space, genome);
    } catch (const InvalidInput& e) {
      throw InvalidInput(fmt::format("initial genome {}: {}", i + 1, e.what()));
    }
    if (options.admits && !options.admits(genome)) {
      throw InvalidInput(fmt::format("initial genome {}: {} is beyond the limits", i + 1,
                                     to_string(space, genome)));
    }
  }
}

using search::Evolution;

/// The critic that the strategy needs, to rank mutations or to judge members; null: none.
std::shared_ptr<search::Critic> make_critic(const SearchSpace& space,
                                            const StrategyOptions& options, bool ranks) {
  if (!ranks && !judges_by_effect(options)) {
    return nullptr;
  }
  return std::make_shared<search::Critic>(space, controller_options(options));
}

std::unique_ptr<Strategy> make_evolution(const SearchSpace& space, const StrategyOptions& options) {
  return std::make_unique<Evolution>(space, options, search::make_uniform_mutator(space, options),
                                     Evolution::Removal::kWorst,
                                     make_critic(space, options, false));
}

std::unique_ptr<Strategy> make_regularized(const SearchSpace& space,
                                           const StrategyOptions& options) {
  return std::make_unique<Evolution>(
      space, options, search::make_one_change_mutator(space, options), Evolution::Removal::kOldest,
      make_critic(space, options, false));
}

/// Makes `renas` and its variants: controller_options() tells them apart by the strategy's name.
std::unique_ptr<Strategy> make_renas(const SearchSpace& space, const StrategyOptions& options) {
  const ControllerOptions form = controller_options(options);
  auto critic = make_critic(space, options, form.critic > 0);
  auto controller = std::make_unique<search::Controller>(space, form, options.seed, critic);
  return std::make_unique<Evolution>(space, options, std::move(controller),
                                     Evolution::Removal::kWorst, std::move(critic));
}

template <class S>
std::unique_ptr<Strategy> make(const SearchSpace& space, const StrategyOptions& options) {
  return std::make_unique<S>(space, options);
}

/// The table of all strategies. A new strategy is a new line here; the tests loop over
/// strategy_names() and so include it.
constexpr struct {
  const char* name;
  bool tournaments;
  std::unique_ptr<Strategy> (*make)(const SearchSpace& space, const StrategyOptions& options);
} kStrategies[] = {
    {"renas", true, make_renas},
    {"renas-frozen", true, make_renas},
    {"renas-unidirectional", true, make_renas},
    {"evolution", true, make_evolution},
    {"regularized", true, make_regularized},
    {"reinforce", false, make<search::Reinforce>},
    {"random", false, make<search::RandomSearch>},
};

}  // namespace

std::vector<std::string> strategy_names() {
  std::vector<std::string> names;
  for (const auto& strategy : kStrategies) {
    names.emplace_back(strategy.name);
  }
  return names;
}

bool has_tournaments(const std::string& name) {
  return std::any_of(std::begin(kStrategies), std::end(kStrategies), [&](const auto& strategy) {
    return strategy.name == name && strategy.tournaments;
  });
}

bool judges_by_effect(const StrategyOptions& options) {
  if (!options.judge.empty() && options.judge != "fitness" && options.judge != "effect") {
    throw InvalidInput(
        fmt::format("judge: expected fitness, effect or nothing; got '{}'", options.judge));
  }
  return options.judge == "effect" && has_tournaments(options.name);
}

bool finalists_by_mean(const StrategyOptions& options) {
  const std::string& word = options.finalists;
  if (!word.empty() && word != "population" && word != "posterior-mean") {
    throw InvalidInput(
        fmt::format("finalists: expected population, posterior-mean or nothing; got '{}'", word));
  }
  return word == "posterior-mean" && has_tournaments(options.name);
}

std::unique_ptr<Strategy> make_strategy(const SearchSpace& space, const StrategyOptions& options) {
  expect("population", options.population, options.population >= 2, "at least 2");
  expect("sample", options.sample, options.sample >= 1, "at least 1");
  if (options.sample > options.population) {
    throw InvalidInput(fmt::format("sample: expected 1 to {}, the size of the population, got {}",
                                   options.population, options.sample));
  }
  expect("redraw-repeats", options.redraw_repeats, options.redraw_repeats >= 0, "0 or more");
  for (const double changes : options.changes_per_child) {
    expect("changes per child", changes, changes >= 0 && std::isfinite(changes), "0 or more");
  }
  if (!options.changes_per_child.empty() && options.name != "evolution") {
    throw InvalidInput(fmt::format(
        "changes per child: only strategy 'evolution' takes them, not '{}'", options.name));
  }
  if (options.size && !has_tournaments(options.name)) {
    throw InvalidInput(
        fmt::format("size as an objective: strategy '{}' has no tournaments that could weigh it",
                    options.name));
  }
  check_initial_genomes(space, options);
  judges_by_effect(options);
  finalists_by_mean(options);
  controller_options(options);  // a wrong option is an error even if the strategy ignores it

  for (const auto& strategy : kStrategies) {
    if (options.name == strategy.name) {
      return strategy.make(space, options);
    }
  }
  throw InvalidInput(fmt::format("strategy: expected one of {}; got '{}'",
                                 fmt::join(strategy_names(), ", "), options.name));
}

}  // namespace renas
