#include "search/strategy_base.h"

#include <fmt/format.h>

#include <algorithm>

#include "renas/error.h"

namespace renas {

namespace search {

namespace {

/// A text that is equal for two search spaces if a strategy cannot tell them apart.
std::string describe(const SearchSpace& space) {
  std::string text = space.name();
  for (const std::string& input : space.cell_inputs()) {
    text += " " + input;
  }
  for (int b = 0; b < space.block_count(); ++b) {
    text += b == space.first_block(1) ? ",reduction," : ",";
    for (const Slot& slot : space.blocks()[b].slots) {
      text += slot.kind == Slot::Kind::kInput ? "<" : "*";
      for (const std::string& choice : slot.choices) {
        text += choice + "|";
      }
    }
  }
  return text;
}

}  // namespace

StrategyBase::StrategyBase(const SearchSpace& space, const StrategyOptions& options)
    : filter_(space, options), space_(space), options_(options), fingerprint_(describe(space)) {}

Candidate StrategyBase::ask() {
  Flight flight;
  if (next_id_ < options_.initial_genomes.size()) {
    flight.candidate.genome = options_.initial_genomes[next_id_];
  } else {
    flight = propose();
  }
  flight.candidate.id = next_id_++;
  filter_.asked(flight.candidate.genome);
  return flights_.add(std::move(flight)).candidate;
}

Told StrategyBase::tell(uint64_t id, const Outcome& outcome) {
  const Flight* const asked = flights_.find(id);
  if (asked == nullptr) {
    throw InvalidInput(
        id >= next_id_
            ? fmt::format("tell: candidate {} was never asked; {} were asked so far", id, next_id_)
            : fmt::format("tell: candidate {} was told before; each is told once", id));
  }
  if (outcome.status == Status::kOk && !(outcome.fitness >= 0 && outcome.fitness <= 1)) {
    throw InvalidInput(
        fmt::format("tell: fitness of candidate {} is {}; expected an accuracy in [0, 1]", id,
                    outcome.fitness));
  }
  if (outcome.status == Status::kOk && !(outcome.inherited >= 0 && outcome.inherited <= 1)) {
    throw InvalidInput(
        fmt::format("tell: the inherited share of candidate {} is {}; expected a share in [0, 1]",
                    id, outcome.inherited));
  }
  if (outcome.status != Status::kOk) {
    const Flight flight = *flights_.take(id);
    ++failed_;
    fail(flight, outcome.status);
    return {};
  }
  // Made before anything changes, since `size` is the caller's and may throw.
  const Member member = make_member(id, asked->candidate.genome, outcome.fitness);
  const Flight flight = *flights_.take(id);
  ++succeeded_;
  filter_.told(flight.candidate.genome, outcome.fitness);
  if (!best_ || outcome.fitness > best_->fitness) best_ = member;
  return accept(flight, outcome, member);
}

void StrategyBase::adopt(const Candidate& asked, std::optional<uint64_t> removed) {
  std::optional<Flight> flight = flights_.take(asked.id);
  if (!flight) {
    throw InvalidInput(fmt::format("adopt: candidate {} is not in flight", asked.id));
  }
  if (flight->candidate != asked) {
    flight->candidate = asked;
    filter_.asked(asked.genome);
    score(*flight);
  }
  flight->worst = removed;
  flights_.add(std::move(*flight));
}

std::vector<Candidate> StrategyBase::in_flight() const {
  std::vector<Candidate> candidates;
  for (const auto& [id, flight] : flights_) {
    candidates.push_back(flight.candidate);
  }
  return candidates;
}

bool StrategyBase::keeps(uint64_t id) const {
  return find(id).has_value() || flights_.children_of(id) > 0;
}

SearchCounts StrategyBase::counts() const {
  return {next_id_,
          succeeded_,
          failed_,
          filter_.repeats_asked,
          filter_.redrawn_limits,
          filter_.redrawn_repeats};
}

Genome StrategyBase::draw_without_parent(const std::function<Genome()>& make) {
  try {
    return filter_.draw(make);
  } catch (const Refused&) {
    if (members_.empty()) throw;
    return std::max_element(members_.begin(), members_.end(),
                            [](const Member& a, const Member& b) { return a.fitness < b.fitness; })
        ->genome;
  }
}

Member StrategyBase::make_member(uint64_t id, const Genome& genome, double fitness) const {
  return {id, genome, fitness, fitness, options_.size ? options_.size(genome) : 0};
}

std::optional<std::size_t> StrategyBase::find(uint64_t id) const {
  for (std::size_t i = 0; i < members_.size(); ++i) {
    if (members_[i].id == id) {
      return i;
    }
  }
  return std::nullopt;
}

uint64_t StrategyBase::remove(std::size_t index) {
  const uint64_t id = members_[index].id;
  members_.erase(members_.begin() + static_cast<std::ptrdiff_t>(index));
  return id;
}

State StrategyBase::save() const {
  State state;
  StateWriter writer(state);
  writer.text("strategy", options_.name);
  writer.text("space", fingerprint_);
  writer.put("counts/told", std::vector<uint64_t>{next_id_, succeeded_, failed_});
  filter_.save(writer);

  std::vector<Member> members = members_;
  if (best_) {
    members.push_back(*best_);  // the best, if there is one, is the last
  }
  std::vector<uint64_t> ids;
  std::vector<double> fitness;
  std::vector<double> effects;
  std::vector<Genome> genomes;
  for (const Member& member : members) {
    ids.push_back(member.id);
    fitness.push_back(member.fitness);
    effects.push_back(member.effect);
    genomes.push_back(member.genome);
  }
  writer.put("members/has_best", std::vector<int64_t>{best_ ? 1 : 0});
  writer.put("members/id", ids);
  writer.put("members/fitness", fitness);
  writer.put("members/effect", effects);
  writer.genomes("members/genome", genomes);

  ids.clear();
  genomes.clear();
  std::vector<int64_t> parents;
  std::vector<int64_t> worst;
  std::vector<double> probabilities;
  std::vector<std::vector<Mutation>> mutations;
  for (const auto& [id, flight] : flights_) {
    ids.push_back(id);
    genomes.push_back(flight.candidate.genome);
    parents.push_back(flight.candidate.parent ? static_cast<int64_t>(*flight.candidate.parent)
                                              : -1);
    worst.push_back(flight.worst ? static_cast<int64_t>(*flight.worst) : -1);
    probabilities.push_back(flight.log_probability);
    probabilities.push_back(flight.entropy);
    mutations.push_back(flight.candidate.mutations);
  }
  writer.put("flights/id", ids);
  writer.put("flights/parent", parents);
  writer.put("flights/worst", worst);
  writer.put("flights/log_probability", probabilities);
  writer.genomes("flights/genome", genomes);
  writer.mutations("flights", mutations);
  save_more(writer);
  return state;
}

void StrategyBase::load(const State& state) {
  const State before = save();
  try {
    load_all(state);
  } catch (...) {
    load_all(before);
    throw;
  }
}

void StrategyBase::load_all(const State& state) {
  const StateReader reader(state);
  if (const std::string name = reader.text("strategy"); name != options_.name) {
    throw InvalidInput(
        fmt::format("search state: it is of strategy '{}', this is '{}'", name, options_.name));
  }
  if (reader.text("space") != fingerprint_) {
    throw InvalidInput(fmt::format(
        "search state: it is of another search space than this one, '{}'", space_.name()));
  }
  const auto& told = reader.words("counts/told", 3);
  next_id_ = told[0];
  succeeded_ = told[1];
  failed_ = told[2];
  filter_.load(reader);

  const auto& ids = reader.words("members/id");
  const auto& fitness = reader.doubles("members/fitness", ids.size());
  const auto& effects = reader.doubles("members/effect", ids.size());
  const auto genomes = reader.genomes("members/genome", space_, ids.size());
  members_.clear();
  for (std::size_t i = 0; i < ids.size(); ++i) {
    members_.push_back(make_member(ids[i], genomes[i], fitness[i]));
    members_.back().effect = effects[i];
  }
  best_.reset();
  if (reader.ints("members/has_best", 1)[0] != 0) {
    if (members_.empty()) {
      throw InvalidInput("search state: array 'members/id' lacks the best");
    }
    best_ = members_.back();
    members_.pop_back();
  }

  const auto& flight_ids = reader.words("flights/id");
  const std::size_t count = flight_ids.size();
  const auto& parents = reader.ints("flights/parent", count);
  const auto& worst = reader.ints("flights/worst", count);
  const auto& probabilities = reader.doubles("flights/log_probability", 2 * count);
  const auto flight_genomes = reader.genomes("flights/genome", space_, count);
  auto mutations = reader.mutations("flights", space_, count);
  flights_.clear();
  for (std::size_t i = 0; i < count; ++i) {
    Flight flight;
    flight.candidate.id = flight_ids[i];
    flight.candidate.genome = flight_genomes[i];
    if (parents[i] >= 0) {
      flight.candidate.parent = static_cast<uint64_t>(parents[i]);
    }
    flight.candidate.mutations = std::move(mutations[i]);
    if (worst[i] >= 0) {
      flight.worst = static_cast<uint64_t>(worst[i]);
    }
    flight.log_probability = probabilities[2 * i];
    flight.entropy = probabilities[2 * i + 1];
    flights_.add(std::move(flight));
  }
  load_more(reader);
}

}  // namespace search
}  // namespace renas
