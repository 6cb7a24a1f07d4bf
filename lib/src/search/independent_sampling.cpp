#include "search/independent_sampling.h"

#include <algorithm>

namespace renas::search {

Flight IndependentSampling::propose() {
  Flight flight;
  flight.candidate.genome = draw_without_parent([&] { return draw(); });
  return flight;
}

Told IndependentSampling::accept(const Flight& flight, const Outcome& outcome,
                                 const Member& member) {
  const double fitness = outcome.fitness;
  Told told{.joined = true, .removed = std::nullopt};
  learn(flight.candidate.genome, fitness);
  if (members_.size() >= capacity()) {
    const auto worst =
        std::min_element(members_.begin(), members_.end(),
                         [](const Member& a, const Member& b) { return a.fitness < b.fitness; });
    if (worst->fitness >= fitness) {
      return {};
    }
    told.removed = remove(worst - members_.begin());
  }
  members_.push_back(member);
  return told;
}

void IndependentSampling::save_more(StateWriter& writer) const {
  writer.random("sampling/random", random_);
}

void IndependentSampling::load_more(const StateReader& reader) {
  random_ = reader.random("sampling/random");
}

}  // namespace renas::search
