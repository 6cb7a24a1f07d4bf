#include "search/critic.h"

#include <algorithm>

#include "search/policy.h"

namespace renas::search {

Critic::Critic(const SearchSpace& space, const ControllerOptions& options, uint64_t seed)
    : space_(space), layout_(space), options_(options), random_(seed, Purpose::kController, 1) {
  network_ = make_network<float>({layout_.steps(), layout_.vocabulary(), options.critic_embedding,
                                  options.critic_hidden, 1, options.bidirectional});
  initialize(*network_, options.critic_initial_sd, random_);
}

void Critic::forward(std::span<const Genome* const> genomes) {
  const std::size_t steps = static_cast<std::size_t>(layout_.steps());
  tokens_.resize(genomes.size() * steps);
  outputs_.resize(tokens_.size());
  for (std::size_t i = 0; i < genomes.size(); ++i)
    layout_.encode(*genomes[i], tokens_.data() + i * steps);
  network_->forward(tokens_.data(), static_cast<int>(genomes.size()), outputs_.data());
}

std::vector<double> Critic::rank(std::span<const Genome* const> genomes) {
  forward(genomes);
  const std::size_t steps = static_cast<std::size_t>(layout_.steps());
  std::vector<double> ranks;
  for (std::size_t i = 0; i < genomes.size(); ++i) {
    double sum = 0;
    for (std::size_t t = 0; t < steps; ++t) sum += static_cast<double>(outputs_[i * steps + t]);
    ranks.push_back(sum / static_cast<double>(steps));
  }
  return ranks;
}

double Critic::target(double fitness) const {
  // The middle of those that are equal.
  const auto [low, high] = std::equal_range(sorted_.begin(), sorted_.end(), fitness);
  const double middle =
      0.5 * static_cast<double>((low - sorted_.begin()) + (high - sorted_.begin()) - 1);
  const double last = static_cast<double>(sorted_.size() - 1);
  return last > 0 ? 2 * middle / last - 1 : 0;
}

void Critic::learn(const Genome& genome, double fitness) {
  genomes_.push_back(genome);
  fitness_.push_back(fitness);
  sorted_.insert(std::upper_bound(sorted_.begin(), sorted_.end(), fitness), fitness);

  const std::size_t batch = static_cast<std::size_t>(options_.critic_batch);
  const std::size_t steps = static_cast<std::size_t>(layout_.steps());
  std::vector<std::size_t> drawn(batch);
  std::vector<const Genome*> genomes(batch);
  for (int update = 0; update < options_.critic_updates; ++update) {
    for (std::size_t i = 0; i < batch; ++i) {
      drawn[i] = random_.below(genomes_.size());
      genomes[i] = &genomes_[drawn[i]];
    }
    const std::vector<double> predicted = rank(genomes);
    // Half the squared error, averaged over the batch and, within a genome, over the tokens.
    d_outputs_.resize(outputs_.size());
    for (std::size_t i = 0; i < batch; ++i) {
      const double error = predicted[i] - target(fitness_[drawn[i]]);
      std::fill_n(d_outputs_.begin() + static_cast<std::ptrdiff_t>(i * steps), steps,
                  static_cast<float>(error / static_cast<double>(batch * steps)));
    }
    network_->backward(d_outputs_.data());
    network_->adam({.learning_rate = options_.critic_learning_rate}, ++steps_);
  }
}

void Critic::save(StateWriter& writer) const {
  Network<float>& network = *network_;
  writer.random("critic/random", random_);
  writer.put("critic/steps", std::vector<int64_t>{steps_});
  writer.floats("critic/parameters", network.parameters());
  writer.floats("critic/first_moment", network.first_moment());
  writer.floats("critic/second_moment", network.second_moment());
  writer.genomes("critic/genome", genomes_);
  writer.put("critic/fitness", fitness_);
}

void Critic::load(const StateReader& reader) {
  const std::size_t size = network_->parameters().size();
  const auto& parameters = reader.floats("critic/parameters", size);
  const auto& first = reader.floats("critic/first_moment", size);
  const auto& second = reader.floats("critic/second_moment", size);
  fitness_ = reader.doubles("critic/fitness");
  genomes_ = reader.genomes("critic/genome", space_, fitness_.size());
  sorted_ = fitness_;
  std::sort(sorted_.begin(), sorted_.end());
  random_ = reader.random("critic/random");
  steps_ = static_cast<long>(reader.ints("critic/steps", 1)[0]);
  std::copy(parameters.begin(), parameters.end(), network_->parameters().begin());
  std::copy(first.begin(), first.end(), network_->first_moment().begin());
  std::copy(second.begin(), second.end(), network_->second_moment().begin());
  network_->changed();
}

}  // namespace renas::search
