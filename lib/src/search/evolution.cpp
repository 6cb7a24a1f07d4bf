#include "search/evolution.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace renas::search {

Evolution::Evolution(const SearchSpace& space, const StrategyOptions& options,
                     std::unique_ptr<Mutator> mutator, Removal removal,
                     std::shared_ptr<Critic> critic)
    : StrategyBase(space, options),
      mutator_(std::move(mutator)),
      removal_(removal),
      critic_(std::move(critic)),
      jury_(finalists_by_mean(options) && !options.size
                ? std::make_unique<Critic>(space, controller_options(options))
                : nullptr),
      by_effect_(critic_ && judges_by_effect(options)),
      learns_failures_(controller_options(options).learn_failures),
      random_(options.seed, Purpose::kSearch) {}

bool Evolution::waits() const {
  const std::size_t enough =
      std::max<std::size_t>(2, std::min<std::size_t>(options().sample, capacity() / 2));
  if (members_.size() >= enough) return false;
  const std::size_t begun = flights_.children_of(std::nullopt);
  return begun > 0 && members_.size() + begun >= capacity();
}

Flight Evolution::propose() {
  Flight flight;
  // A single member would be parent and worst at once.
  const std::size_t begun = flights_.children_of(std::nullopt);
  if (members_.size() + begun < capacity() || members_.size() < 2) {
    flight.candidate.genome = draw_without_parent([&] { return random_genome(space(), random_); });
    return flight;
  }
  const auto [best, worst] = tournament();
  const Member& parent = members_[best];
  Proposal proposal;
  try {
    proposal = mutator_->mutate(parent.genome, filter_, flights_);
  } catch (const Refused&) {
    // A search does not end because one member has no children within the limits.
    try {
      flight.candidate.genome = filter_.draw([&] { return random_genome(space(), random_); });
    } catch (const Refused&) {
      flight.candidate.genome = parent.genome;
    }
    return flight;
  }
  flight.candidate.parent = parent.id;
  flight.candidate.genome = std::move(proposal.child);
  flight.candidate.mutations = std::move(proposal.mutations);
  flight.worst = members_[worst].id;
  flight.log_probability = proposal.log_probability;
  flight.entropy = proposal.entropy;
  return flight;
}

namespace {

/// The genome that `candidate` was mutated from.
Genome parent_of(const Candidate& candidate) {
  Genome parent = candidate.genome;
  for (const Mutation& m : candidate.mutations) {
    parent[m.slot] = m.from;
  }
  return parent;
}

}  // namespace

void Evolution::score(Flight& flight) {
  Proposal proposal;
  proposal.mutations = flight.candidate.mutations;
  if (flight.candidate.parent) {
    mutator_->score(parent_of(flight.candidate), proposal);
  }
  flight.log_probability = proposal.log_probability;
  flight.entropy = proposal.entropy;
}

Told Evolution::accept(const Flight& flight, const Outcome& outcome, const Member& member) {
  const Candidate& candidate = flight.candidate;
  if (critic_) {
    const auto changes = std::count_if(candidate.mutations.begin(), candidate.mutations.end(),
                                       [](const Mutation& m) { return m.from != m.to; });
    critic_->learn(candidate.genome, outcome.fitness,
                   {candidate.id, candidate.parent, static_cast<int>(changes),
                    by_effect_ ? outcome.inherited : 0});
  }
  if (jury_) {
    jury_->learn(candidate.genome, outcome.fitness, {candidate.id, candidate.parent, 0, 0});
    jury_->update();
  }
  Told told{.joined = true, .removed = std::nullopt};
  if (flight.candidate.parent) {
    // The member that leaves is chosen before the child joins.
    if (removal_ == Removal::kOldest) {
      told.removed = remove(0);
    } else {
      told.removed = remove(leaving(flight));
    }
  } else if (members_.size() >= capacity()) {
    told.removed = remove(removal_ == Removal::kOldest ? 0 : leaving(flight));
  }
  members_.push_back(member);
  judge_members();
  if (!candidate.parent) {
    return told;
  }
  mutator_->learn(sample_of(flight, std::clamp(members_.back().effect, 0.0, 1.0)));
  return told;
}

Sample Evolution::sample_of(const Flight& flight, double fitness) {
  Sample sample;
  sample.mutations = flight.candidate.mutations;
  sample.parent = parent_of(flight.candidate);
  sample.log_probability = flight.log_probability;
  sample.entropy = flight.entropy;
  sample.fitness = fitness;
  return sample;
}

void Evolution::fail(const Flight& flight, Status status) {
  if (!learns_failures_ || status == Status::kLost) {
    return;
  }
  if (critic_ && !by_effect_) {
    critic_->learn(flight.candidate.genome, critic_->worst(),
                   {flight.candidate.id, flight.candidate.parent, 0, 0});
  }
  if (flight.candidate.parent) {
    Sample sample = sample_of(flight, 0);
    sample.failed = true;
    mutator_->learn(sample);
  }
}

std::size_t Evolution::leaving(const Flight& flight) {
  const auto index = flight.worst ? find(*flight.worst) : std::nullopt;
  return index ? *index : tournament().second;
}

std::pair<std::size_t, std::size_t> Evolution::tournament() {
  std::vector<std::size_t> order(members_.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const std::size_t count = std::min<std::size_t>(options().sample, members_.size());
  for (std::size_t i = 0; i < count; ++i) {
    std::swap(order[i], order[i + random_.below(order.size() - i)]);
  }
  const std::vector<Standing> standings = standings_of_members();
  const auto better = [&](std::size_t a, std::size_t b) {
    return standings.empty() ? members_[a].effect > members_[b].effect
                             : standings[a] < standings[b];
  };
  std::size_t best = order[0];
  std::size_t worst = order[0];
  for (std::size_t i = 1; i < count; ++i) {
    if (better(order[i], best)) {
      best = order[i];
    }
    if (better(worst, order[i])) {
      worst = order[i];
    }
  }
  if (best == worst && count > 1) {
    worst = order[1];  // all are equal: the parent must stay
  }
  return {best, worst};
}

std::vector<Standing> Evolution::standings_of_members() const {
  if (!options().size) {
    return {};
  }
  std::vector<Tradeoff> points;
  for (const Member& member : members_) {
    points.push_back({member.effect, member.size});
  }
  return standings(points);
}

void Evolution::judge_members() {
  if (!corrects()) {
    return;
  }
  const std::vector<Critic::Effect>& effects = critic_->effects();
  for (Member& member : members_) {
    const auto found =
        std::find_if(effects.rbegin(), effects.rend(),
                     [&](const Critic::Effect& effect) { return effect.id == member.id; });
    if (found != effects.rend()) {  // else the critic has forgotten it, and its last effect holds
      member.effect = found->value;
    }
  }
}

std::vector<Member> Evolution::best_by_mean(std::size_t count) const {
  std::vector<Member> best = jury_->best(count);
  for (Member& member : best) {
    member.effect = member.fitness;  // the jury thinks in quantiles
  }
  return best;
}

std::vector<Member> Evolution::finalists() const {
  // The critic knows the best cells of any size, not the fronts.
  if (corrects() && !options().size) {
    return critic_->best(capacity());
  }
  return jury_ ? best_by_mean(capacity()) : population();
}

std::optional<Member> Evolution::best() const {
  if (corrects()) {
    return critic_->best(1).front();
  }
  return jury_ && StrategyBase::best() ? best_by_mean(1).front() : StrategyBase::best();
}

void Evolution::save_more(StateWriter& writer) const {
  writer.random("evolution/random", random_);
  mutator_->save(writer);
  if (critic_) {
    critic_->save(writer, "critic");
  }
  if (jury_) {
    jury_->save(writer, "jury");
  }
}

void Evolution::load_more(const StateReader& reader) {
  random_ = reader.random("evolution/random");
  mutator_->load(reader);
  if (critic_) {
    critic_->load(reader, "critic");
  }
  if (jury_) {
    jury_->load(reader, "jury");
  }
}

}  // namespace renas::search
