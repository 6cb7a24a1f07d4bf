#include "search/controller/controller.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "renas/error.h"

namespace renas::search {

namespace {

constexpr int kPolicyDraws = 10;      // of one candidate, before uniform exploration takes over
constexpr double kExploreRate = 0.3;  // probability of changing each block but the certain one

}  // namespace

Controller::Controller(const SearchSpace& space, const ControllerOptions& options, uint64_t seed,
                       std::shared_ptr<Critic> critic)
    : space_(space),
      options_(options),
      critic_(options.critic > 0 ? std::move(critic) : nullptr),
      advantage_(options),
      random_(seed, Purpose::kController),
      replay_random_(seed, Purpose::kController, 2) {
  policy_ = std::make_unique<MutationPolicy<float>>(space, options.embedding, options.hidden,
                                                    options.bidirectional, options.attention);
  policy_->initialize(options.initial_sd, random_);
}

Proposal Controller::draw(const Genome& parent) {
  if (options_.exploration > 0 && random_.uniform() < options_.exploration) {
    return explore(parent);
  }
  Proposal proposal;
  LogProbability log_probability;
  proposal.mutations = policy_->sample(0, parent, random_, &log_probability);
  proposal.child = renas::apply(parent, proposal.mutations);
  proposal.log_probability = log_probability.value;
  proposal.entropy = log_probability.entropy;
  return proposal;
}

Proposal Controller::explore(const Genome& parent) {
  Proposal proposal;
  const auto below = [&](int n) {
    return static_cast<int>(random_.below(static_cast<uint64_t>(n)));
  };
  const int certain = below(space_.block_count());
  for (int b = 0; b < space_.block_count(); ++b) {
    const int first = space_.first_slot(b);
    const int slot = first + below(space_.first_slot(b + 1) - first);
    const int choices = static_cast<int>(space_.slot(slot).choices.size());
    const int from = parent[slot];
    int to = from;
    if (choices > 1 && (b == certain || random_.uniform() < kExploreRate)) {
      to = below(choices - 1);
      to += to >= from ? 1 : 0;
    }
    proposal.mutations.push_back({b, slot, from, to});
  }
  proposal.child = renas::apply(parent, proposal.mutations);
  const LogProbability log_probability = policy_->score(0, proposal.mutations);
  proposal.log_probability = log_probability.value;
  proposal.entropy = log_probability.entropy;
  return proposal;
}

Proposal Controller::sample(const Genome& parent, CandidateFilter& filter) {
  int draws = 0;
  return filter.draw(
      [&] {
        // A converged policy would draw the same duplicate again and again.
        const bool converged = options_.redraw_exact > 0 && draws++ >= kPolicyDraws;
        return converged ? explore(parent) : draw(parent);
      },
      [](const Proposal& proposal) -> const Genome& { return proposal.child; },
      options_.redraw_exact, [&](const Proposal& proposal) { remember_refused(parent, proposal); });
}

void Controller::remember_refused(const Genome& parent, const Proposal& proposal) {
  if (options_.learn_refusals == 0) {
    return;
  }
  refused_.push_back({parent, proposal.mutations, proposal.log_probability, proposal.entropy, 0});
  if (std::ssize(refused_) > options_.learn_refusals) {
    refused_.pop_front();
  }
}

Proposal Controller::mutate(const Genome& parent, CandidateFilter& filter,
                            const Flights& in_flight) {
  const Genome* parents[] = {&parent};
  policy_->encode(parents);
  if (!critic_ || random_.uniform() >= options_.critic_share) {
    return sample(parent, filter);
  }
  std::vector<Proposal> proposals;
  proposals.reserve(options_.critic);
  for (int i = 0; i < options_.critic; ++i) {
    proposals.push_back(sample(parent, filter));
  }
  std::vector<const Genome*> children;
  children.reserve(proposals.size());
  for (const Proposal& proposal : proposals) {
    children.push_back(&proposal.child);
  }
  std::vector<const Genome*> others;
  if (options_.critic_in_flight > 0) {
    for (const auto& [id, flight] : in_flight) others.push_back(&flight.candidate.genome);
  }
  const std::vector<double> worth = critic_->rank(children, others);
  const auto best = std::max_element(worth.begin(), worth.end()) - worth.begin();
  return std::move(proposals[best]);
}

void Controller::score(const Genome& parent, Proposal& proposal) {
  const Genome* parents[] = {&parent};
  policy_->encode(parents);
  const LogProbability log_probability = policy_->score(0, proposal.mutations);
  proposal.log_probability = log_probability.value;
  proposal.entropy = log_probability.entropy;
}

void Controller::learn(const Sample& sample) {
  entropy_.push_back(static_cast<float>(sample.entropy));
  if (!options_.learn) {
    return;
  }
  if (!sample.failed) {
    advantage_.add(sample.fitness);
  }
  for (int i = 0; i < options_.updates; ++i) {
    update(sample);
  }
  refused_.clear();
  if (options_.replay > 0) {
    recent_.push_back(sample);
    if (std::ssize(recent_) > options_.replay) {
      recent_.pop_front();
    }
  }
}

void Controller::update(const Sample& sample) {
  std::vector<const Sample*> batch{&sample};
  if (!recent_.empty()) {
    for (int i = 1; i < options_.batch; ++i) {
      batch.push_back(&recent_[replay_random_.below(recent_.size())]);
    }
  }
  for (const Sample& refused : refused_) {
    batch.push_back(&refused);
  }
  std::vector<const Genome*> parents;
  parents.reserve(batch.size());
  for (const Sample* s : batch) {
    parents.push_back(&s->parent);
  }
  policy_->encode(parents);
  const double share = 1.0 / static_cast<double>(batch.size());
  std::vector<PolicyTerm> terms;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    double ratio = 1;
    if (options_.batch > 1) {
      const double present = policy_->score(static_cast<int>(i), batch[i]->mutations).value;
      ratio = std::min(std::exp(present - batch[i]->log_probability), options_.ratio_clip);
    }
    terms.push_back({&batch[i]->parent, &batch[i]->mutations,
                     share * ratio * advantage_.of(batch[i]->fitness)});
  }
  policy_->gradient(terms, share * options_.entropy);
  policy_->lstm().adam({.learning_rate = options_.learning_rate}, ++steps_);
}

namespace {

void save_samples(StateWriter& writer, const std::string& name, const std::deque<Sample>& samples) {
  std::vector<Genome> parents;
  std::vector<std::vector<Mutation>> mutations;
  std::vector<double> numbers;
  for (const Sample& sample : samples) {
    parents.push_back(sample.parent);
    mutations.push_back(sample.mutations);
    numbers.insert(numbers.end(), {sample.log_probability, sample.entropy, sample.fitness});
  }
  writer.genomes(name + "/parent", parents);
  writer.mutations(name, mutations);
  writer.put(name + "/numbers", numbers);
}

std::deque<Sample> load_samples(const StateReader& reader, const std::string& name,
                                const SearchSpace& space) {
  const auto& numbers = reader.doubles(name + "/numbers");
  const std::size_t count = numbers.size() / 3;
  const auto parents = reader.genomes(name + "/parent", space, count);
  const auto mutations = reader.mutations(name, space, count);
  std::deque<Sample> samples;
  for (std::size_t i = 0; i < count; ++i) {
    samples.push_back(
        {parents[i], mutations[i], numbers[3 * i], numbers[3 * i + 1], numbers[3 * i + 2]});
  }
  return samples;
}

}  // namespace

void Controller::save(StateWriter& writer) const {
  Lstm<float>& lstm = policy_->lstm();
  writer.random("controller/random", random_);
  writer.random("controller/replay_random", replay_random_);
  writer.put("controller/steps", std::vector<int64_t>{steps_});
  writer.floats("controller/parameters", lstm.parameters());
  writer.floats("controller/first_moment", lstm.first_moment());
  writer.floats("controller/second_moment", lstm.second_moment());
  writer.put("controller/children", std::vector<uint64_t>{entropy_.size()});
  writer.put("controller/entropy", entropy_);
  advantage_.save(writer);
  save_samples(writer, "replay", recent_);
  if (options_.learn_refusals > 0) {
    save_samples(writer, "refused", refused_);
  }
}

void Controller::load(const StateReader& reader) {
  Lstm<float>& lstm = policy_->lstm();
  const std::size_t size = lstm.parameters().size();
  const auto& parameters = reader.floats("controller/parameters", size);
  const auto& first = reader.floats("controller/first_moment", size);
  const auto& second = reader.floats("controller/second_moment", size);
  const uint64_t children = reader.words("controller/children", 1)[0];
  const auto& entropy = reader.floats("controller/entropy", children);
  recent_ = load_samples(reader, "replay", space_);
  if (options_.learn_refusals > 0) {
    refused_ = load_samples(reader, "refused", space_);
  }
  random_ = reader.random("controller/random");
  replay_random_ = reader.random("controller/replay_random");
  steps_ = static_cast<long>(reader.ints("controller/steps", 1)[0]);
  advantage_.load(reader);
  entropy_ = entropy;
  std::copy(parameters.begin(), parameters.end(), lstm.parameters().begin());
  std::copy(first.begin(), first.end(), lstm.first_moment().begin());
  std::copy(second.begin(), second.end(), lstm.second_moment().begin());
  lstm.changed();
}

}  // namespace renas::search
