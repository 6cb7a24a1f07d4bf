#include <fmt/format.h>

#include <cmath>

#include "renas/error.h"
#include "renas/strategy.h"
#include "search/controller/controller.h"

namespace renas {

namespace {

void add_share(std::vector<double>& sum, const std::vector<double>& values, double share) {
  sum.resize(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    sum[i] += share * values[i];
  }
}

}  // namespace

ControllerView view_controller(const SearchSpace& space, const StrategyOptions& options,
                               const State& state) {
  if (options.name.rfind("renas", 0) != 0) {
    throw InvalidInput(
        fmt::format("controller: strategy '{}' has no mutation controller", options.name));
  }
  const auto strategy = make_strategy(space, options);
  strategy->load(state);
  search::Controller controller(space, controller_options(options), options.seed);
  controller.load(search::StateReader(state));

  ControllerView view;
  view.router.resize(space.block_count());
  view.choices.resize(space.slot_count());
  const std::vector<Member>& members = strategy->population();
  for (const Member& member : members) {
    const Genome* parents[] = {&member.genome};
    controller.policy().encode(parents);
    const double share = 1.0 / static_cast<double>(members.size());
    for (int b = 0; b < space.block_count(); ++b) {
      add_share(view.router[b], controller.policy().router(0, b), share);
    }
    for (int s = 0; s < space.slot_count(); ++s) {
      add_share(view.choices[s], controller.policy().choices(0, s), share);
    }
  }
  view.entropy.assign(controller.entropy().begin(), controller.entropy().end());
  for (int b = 0; b < space.block_count(); ++b) {
    const double slots = space.first_slot(b + 1) - space.first_slot(b);
    view.largest_entropy += std::log(slots);
    for (int s = space.first_slot(b); s < space.first_slot(b + 1); ++s) {
      view.largest_entropy += std::log(static_cast<double>(space.slot(s).choices.size())) / slots;
    }
  }
  return view;
}

}  // namespace renas
