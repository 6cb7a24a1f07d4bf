#include "bench/lineage.h"

#include <algorithm>
#include <cmath>

#include "renas/graph.h"
#include "renas/network.h"

double Deficits::draw(const renas::Candidate& candidate, int changes) {
  if (!model_.on) return 0;
  double& deficit = deficits_[candidate.id];
  if (!candidate.parent) return deficit = 0;
  const double factor = std::exp(model_.spread * random_.normal());
  deficit = model_.recovery * deficits_[*candidate.parent];
  if (changes > 0 && !model_.drops.empty()) {
    const auto last = std::ssize(model_.drops) - 1;
    deficit += factor * model_.drops[std::min<std::ptrdiff_t>(changes - 1, last)];
  }
  const int generations = generations_[*candidate.parent] + 1;
  generations_[candidate.id] = generations;
  return deficit - model_.gain * std::log2(1.0 + generations);
}

double Deficits::inherited(const renas::Candidate& candidate, int changes) const {
  return model_.on && candidate.parent ? std::max(0.1, 1 - 0.08 * changes) : 0;
}

double roughness_of(const LineageModel& model, const renas::SearchSpace& space,
                    const renas::Genome& genome) {
  if (!model.on || model.roughness == 0) return 0;
  uint64_t hash = 1469598103934665603U;  // FNV-1a
  for (const auto choice : renas::canonical(space, genome)) {
    hash = (hash ^ static_cast<uint64_t>(choice)) * 1099511628211U;
  }
  return -model.roughness * std::log(1 - renas::Random(hash, renas::Purpose::kNoise, 4).uniform());
}

int64_t mult_adds_of(const renas::SearchSpace& space, const renas::Genome& genome) {
  renas::NetworkOptions options;
  options.cells = 1;
  options.filters = 8;
  return renas::count(renas::build_network(space, genome, options)).mult_adds;
}

Clock::Clock(const renas::SearchSpace& space, Durations durations, uint64_t seed)
    : space_(space), durations_(durations), random_(seed, renas::Purpose::kNoise, 2) {}

double Clock::duration(const renas::Genome& genome) {
  switch (durations_) {
    case Durations::kConstant:
      return 1;
    case Durations::kHeavyTailed:
      return std::exp(random_.normal());
    case Durations::kMultAdds:
      return static_cast<double>(mult_adds_of(space_, genome));
  }
  return 1;
}
