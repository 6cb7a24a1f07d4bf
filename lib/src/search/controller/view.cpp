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

namespace search {

std::optional<ControllerView> Controller::view(const std::vector<Member>& members) const {
  ControllerView view;
  view.router.resize(space_.block_count());
  view.choices.resize(space_.slot_count());
  for (const Member& member : members) {
    const Genome* parents[] = {&member.genome};
    policy_->encode(parents);  // what it encoded before is encoded anew before it is used again
    const double share = 1.0 / static_cast<double>(members.size());
    for (int b = 0; b < space_.block_count(); ++b) {
      add_share(view.router[b], policy_->router(0, b), share);
    }
    for (int s = 0; s < space_.slot_count(); ++s) {
      add_share(view.choices[s], policy_->choices(0, s), share);
    }
  }
  view.entropy.assign(entropy_.begin(), entropy_.end());
  for (int b = 0; b < space_.block_count(); ++b) {
    const double slots = space_.first_slot(b + 1) - space_.first_slot(b);
    view.largest_entropy += std::log(slots);
    for (int s = space_.first_slot(b); s < space_.first_slot(b + 1); ++s) {
      view.largest_entropy += std::log(static_cast<double>(space_.slot(s).choices.size())) / slots;
    }
  }
  return view;
}

}  // namespace search

ControllerView view_controller(const SearchSpace& space, const StrategyOptions& options,
                               const State& state) {
  const auto strategy = make_strategy(space, options);
  strategy->load(state);
  std::optional<ControllerView> view = strategy->controller_view();
  if (!view) {
    throw InvalidInput(
        fmt::format("controller: strategy '{}' has no mutation controller", options.name));
  }
  return *std::move(view);
}

}  // namespace renas
