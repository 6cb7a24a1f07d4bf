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

using Advantage = ControllerOptions::Advantage;

template <class T>
void expect(const char* what, T value, bool right, const char* expected) {
  if (!right) throw InvalidInput(fmt::format("{}: expected {}, got {}", what, expected, value));
}

void check(const ControllerOptions& o) {
  expect("controller embedding", o.embedding, o.embedding >= 1, "at least 1");
  expect("controller hidden", o.hidden, o.hidden >= 1, "at least 1");
  expect("controller learning rate", o.learning_rate, o.learning_rate >= 0, "0 or more");
  expect("controller entropy", o.entropy, o.entropy >= 0, "0 or more");
  expect("controller decay", o.decay, o.decay >= 0 && o.decay < 1, "0 up to below 1");
  expect("controller window", o.window, o.window >= 2, "at least 2");
  expect("controller updates", o.updates, o.updates >= 0, "0 or more");
  expect("controller batch", o.batch, o.batch >= 1, "at least 1");
  expect("controller replay", o.replay, o.replay >= 0, "0 or more");
  expect("critic", o.critic, o.critic >= 0 && o.critic <= 10000, "0 to 10000");
  expect("critic embedding", o.critic_embedding, o.critic_embedding >= 1, "at least 1");
  expect("critic hidden", o.critic_hidden, o.critic_hidden >= 1, "at least 1");
  expect("critic batch", o.critic_batch, o.critic_batch >= 1, "at least 1");
}

}  // namespace

std::vector<std::string> strategy_names() {
  return {"renas",     "renas-frozen", "renas-unidirectional", "evolution", "regularized",
          "reinforce", "random"};
}

std::vector<std::string> controller_names() { return {"paper", "default"}; }

ControllerOptions controller_options(const std::string& name) {
  ControllerOptions options;
  if (name == "paper") return options;
  if (name == "default") {
    options.embedding = 48;
    options.hidden = 48;
    options.learning_rate = 0.003;
    options.advantage = Advantage::kStandardised;
    options.batch = 8;
    options.replay = 20;
    return options;
  }
  throw InvalidInput(fmt::format("controller: expected one of {}; got '{}'",
                                 fmt::join(controller_names(), ", "), name));
}

ControllerOptions controller_options(const StrategyOptions& options) {
  ControllerOptions form = controller_options(options.controller);
  if (options.baseline == "none")
    form.advantage = Advantage::kReward;
  else if (options.baseline == "moving")
    form.advantage = Advantage::kMovingAverage;
  else if (options.baseline == "standardised")
    form.advantage = Advantage::kStandardised;
  else if (!options.baseline.empty())
    throw InvalidInput(
        fmt::format("baseline: expected none, moving or standardised; got '{}'", options.baseline));
  expect("critic", options.critic, options.critic >= -1, "0 or more");
  if (options.critic >= 0) form.critic = options.critic;
  if (options.controller_form) form = *options.controller_form;
  if (options.name == "renas-frozen") form.learn = false;
  if (options.name == "renas-unidirectional") form.bidirectional = false;
  check(form);
  return form;
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
