#include "renas/strategy.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "renas/error.h"
#include "search/evolution.h"
#include "search/mutator.h"
#include "search/sampling.h"

namespace renas {

namespace {

template <class T>
void expect(const char* what, T value, bool right, const char* expected) {
  if (!right) throw InvalidInput(fmt::format("{}: expected {}, got {}", what, expected, value));
}

}  // namespace

std::vector<std::string> strategy_names() {
  return {"renas",     "renas-frozen", "renas-unidirectional", "evolution", "regularized",
          "reinforce", "random"};
}

std::unique_ptr<Strategy> make_strategy(const SearchSpace& space, const StrategyOptions& options) {
  expect("population", options.population, options.population >= 2, "at least 2");
  expect("sample", options.sample, options.sample >= 1, "at least 1");
  if (options.sample > options.population)
    throw InvalidInput(fmt::format("sample: {} members cannot be drawn from a population of {}",
                                   options.sample, options.population));
  expect("redraw-repeats", options.redraw_repeats, options.redraw_repeats >= 0, "0 or more");
  for (const double changes : options.changes_per_child)
    expect("changes per child", changes, changes >= 0 && std::isfinite(changes), "0 or more");
  if (!options.changes_per_child.empty() && options.name != "evolution")
    throw InvalidInput(fmt::format(
        "changes per child: only strategy 'evolution' takes them, not '{}'", options.name));
  controller_options(options);  // a wrong option is an error whatever the strategy

  using search::Evolution;
  const auto evolve = [&](std::unique_ptr<search::Mutator> mutator, Evolution::Removal removal) {
    return std::make_unique<Evolution>(space, options, std::move(mutator), removal);
  };
  if (options.name == "evolution")
    return evolve(search::make_uniform_mutator(space, options), Evolution::Removal::kWorst);
  if (options.name == "regularized")
    return evolve(search::make_one_change_mutator(space, options), Evolution::Removal::kOldest);
  if (options.name == "reinforce") return search::make_reinforce(space, options);
  if (options.name == "random") return search::make_random(space, options);
  const auto names = strategy_names();
  if (std::find(names.begin(), names.end(), options.name) == names.end())
    throw InvalidInput(fmt::format("strategy: expected one of {}; got '{}'", fmt::join(names, ", "),
                                   options.name));
  return evolve(search::make_controller_mutator(space, options), Evolution::Removal::kWorst);
}

}  // namespace renas
