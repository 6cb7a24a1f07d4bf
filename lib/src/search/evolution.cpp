#include "search/evolution.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace renas::search {

Evolution::Evolution(const SearchSpace& space, const StrategyOptions& options,
                     std::unique_ptr<Mutator> mutator, Removal removal)
    : StrategyBase(space, options),
      mutator_(std::move(mutator)),
      removal_(removal),
      random_(options.seed, Purpose::kSearch) {}

Flight Evolution::propose() {
  Flight flight;
  std::size_t starting = 0;
  for (const auto& [id, other] : flights_) {
    starting += other.candidate.parent ? 0 : 1;
  }
  // A single member would be parent and worst at once.
  if (members_.size() + starting < capacity() || members_.size() < 2) {
    flight.candidate.genome = filter_.draw([&] { return random_genome(space(), random_); });
    return flight;
  }
  const auto [best, worst] = tournament();
  const Member& parent = members_[best];
  Proposal proposal = mutator_->mutate(parent.genome, filter_);
  flight.candidate.parent = parent.id;
  flight.candidate.genome = std::move(proposal.child);
  flight.candidate.mutations = std::move(proposal.mutations);
  flight.worst = members_[worst].id;
  flight.log_probability = proposal.log_probability;
  flight.entropy = proposal.entropy;
  return flight;
}

Told Evolution::accept(const Flight& flight, double fitness) {
  Told told{.joined = true, .removed = std::nullopt};
  if (flight.candidate.parent) {
    // The member that leaves is chosen before the child joins.
    if (removal_ == Removal::kOldest) {
      told.removed = remove(0);
    } else if (const auto index = find(*flight.worst)) {
      told.removed = remove(*index);
    } else {
      told.removed = remove(tournament().second);
    }
  } else if (members_.size() >= capacity()) {
    told.removed = remove(removal_ == Removal::kOldest ? 0 : tournament().second);
  }
  members_.push_back({flight.candidate.id, flight.candidate.genome, fitness});

  if (!flight.candidate.parent) {
    mutator_->saw(flight.candidate.genome, fitness);
    return told;
  }
  Sample sample;
  sample.mutations = flight.candidate.mutations;
  sample.parent = flight.candidate.genome;
  for (const Mutation& m : sample.mutations) {
    sample.parent[m.slot] = m.from;
  }
  sample.log_probability = flight.log_probability;
  sample.entropy = flight.entropy;
  sample.fitness = fitness;
  mutator_->learn(sample);
  return told;
}

std::pair<std::size_t, std::size_t> Evolution::tournament() {
  std::vector<std::size_t> order(members_.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const std::size_t count = std::min<std::size_t>(options().sample, members_.size());
  for (std::size_t i = 0; i < count; ++i) {
    std::swap(order[i], order[i + random_.below(order.size() - i)]);
  }
  std::size_t best = order[0];
  std::size_t worst = order[0];
  for (std::size_t i = 1; i < count; ++i) {
    if (members_[order[i]].fitness > members_[best].fitness) {
      best = order[i];
    }
    if (members_[order[i]].fitness < members_[worst].fitness) {
      worst = order[i];
    }
  }
  if (best == worst && count > 1) {
    worst = order[1];  // all are equal: the parent must stay
  }
  return {best, worst};
}

void Evolution::save_more(StateWriter& writer) const {
  writer.random("evolution/random", random_);
  mutator_->save(writer);
}

void Evolution::load_more(const StateReader& reader) {
  random_ = reader.random("evolution/random");
  mutator_->load(reader);
}

}  // namespace renas::search
