#include "search/critic/critic.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include "renas/error.h"
#include "search/critic/quantile.h"

namespace renas::search {

namespace {

// The grid of hyper-parameters.
constexpr double kRhos[] = {0.5, 0.7, 0.8, 0.88, 0.94};
constexpr double kKappas[] = {0.8, 0.9, 1.0};
constexpr double kNoises[] = {0.003, 0.03, 0.1, 0.3, 1.0};

/// The relative rank of `fitness` among `sorted`, in (0, 1), interpolated between neighbours.
double relative_rank(const std::vector<double>& sorted, double fitness) {
  const double count = static_cast<double>(sorted.size());
  const auto above = std::upper_bound(sorted.begin(), sorted.end(), fitness);
  double position = static_cast<double>(above - sorted.begin());
  if (above == sorted.begin()) {
    position = 0.5;
  } else if (above == sorted.end()) {
    position = count - 0.5 + (fitness > sorted.back() ? 0.25 : 0);
  } else {
    const double below = *(above - 1);
    position += (fitness - below) / (*above - below) - 0.5;
  }
  return position / (count + 0.25);
}

}  // namespace

Critic::Critic(const SearchSpace& space, const ControllerOptions& options)
    : space_(space),
      optimism_(options.critic_optimism),
      similarity_(space),
      process_(make_gaussian_process()) {}

void Critic::append(std::size_t i) {
  row_.resize(i - first_);
  for (std::size_t j = first_; j < i; ++j) {
    row_[j - first_] = similarity_(genomes_[i], genomes_[j]);
  }
  process_->append(row_.data(), 1 + form_.noise);
}

void Critic::rebuild(const Form& form, std::size_t first) {
  form_ = form;
  first_ = first;
  similarity_.set(form.rho, form.kappa);
  process_->clear();
  for (std::size_t i = first; i < genomes_.size(); ++i) {
    append(i);
  }
}

void Critic::choose() {
  const std::size_t first = genomes_.size() - std::min(genomes_.size(), kJudges);
  double best = -std::numeric_limits<double>::infinity();
  Form chosen = form_;
  for (const double rho : kRhos) {
    for (const double kappa : kKappas) {
      for (const double noise : kNoises) {
        rebuild({rho, kappa, noise}, first);
        const double likelihood = process_->solve(targets_.data() + first, weights_.data());
        if (likelihood > best) {
          best = likelihood;
          chosen = form_;
        }
      }
    }
  }
  rebuild(chosen);
}

void Critic::set_targets() {
  std::map<Genome, std::pair<double, double>> sums;
  for (std::size_t i = 0; i < genomes_.size(); ++i) {
    auto& [sum, count] = sums[genomes_[i]];
    sum += fitness_[i];
    count += 1;
  }
  std::vector<double> sorted;
  sorted.reserve(sums.size());
  for (const auto& [genome, sum] : sums) {
    sorted.push_back(sum.first / sum.second);
  }
  std::sort(sorted.begin(), sorted.end());
  double mean = 0;
  double squares = 0;
  for (const double fitness : sorted) {
    const double y = normal_quantile(relative_rank(sorted, fitness));
    mean += y / static_cast<double>(sorted.size());
    squares += y * y / static_cast<double>(sorted.size());
  }
  const double deviation = std::sqrt(std::max(1e-12, squares - mean * mean));
  targets_.clear();
  for (const double fitness : fitness_) {
    targets_.push_back((normal_quantile(relative_rank(sorted, fitness)) - mean) / deviation);
  }
}

void Critic::learn(const Genome& genome, double fitness) {
  genomes_.push_back(canonical(space_, genome));
  fitness_.push_back(fitness);
  if (genomes_.size() > kMemory) {
    genomes_.erase(genomes_.begin(), genomes_.begin() + kForget);
    fitness_.erase(fitness_.begin(), fitness_.begin() + kForget);
    next_choice_ = genomes_.size();
    process_->clear();
  } else if (process_->size() + 1 == genomes_.size()) {
    append(genomes_.size() - 1);
  }
  fresh_ = false;
}

std::vector<double> Critic::rank(std::span<const Genome* const> genomes) {
  const std::size_t n = genomes_.size();
  if (!fresh_) {
    set_targets();
    weights_.resize(n);
    if (n >= next_choice_) {
      choose();
      next_choice_ = n + std::max<uint64_t>(10, 3 * n / 10);
    }
    if (process_->size() != n) {
      rebuild(form_);
    }
    process_->solve(targets_.data(), weights_.data());
    fresh_ = true;
  }
  const std::size_t columns = genomes.size();
  std::vector<double> means(columns);
  solved_.resize(n * columns);
  for (std::size_t c = 0; c < columns; ++c) {
    const Genome genome = canonical(space_, *genomes[c]);
    for (std::size_t i = 0; i < n; ++i) {
      const double k = similarity_(genome, genomes_[i]);
      means[c] += k * weights_[i];
      solved_[i * columns + c] = k;
    }
  }
  process_->solve_lower(solved_.data(), columns);
  std::vector<double> worth;
  for (std::size_t c = 0; c < columns; ++c) {
    double variance = 1;
    for (std::size_t i = 0; i < n; ++i) {
      variance -= solved_[i * columns + c] * solved_[i * columns + c];
    }
    worth.push_back(means[c] + optimism_ * std::sqrt(std::max(0.0, variance)));
  }
  return worth;
}

void Critic::save(StateWriter& writer) const {
  writer.genomes("critic/genome", genomes_);
  writer.put("critic/fitness", fitness_);
  writer.put("critic/next_choice", std::vector<uint64_t>{next_choice_});
  writer.put("critic/form", std::vector<double>{form_.rho, form_.kappa, form_.noise});
}

void Critic::load(const StateReader& reader) {
  const auto& form = reader.doubles("critic/form", 3);
  if (!(form[0] > 0 && form[0] < 1 && form[1] > 0 && form[1] <= 1 && form[2] > 0)) {
    throw InvalidInput("search state: array 'critic/form' is out of range");
  }
  const auto& fitness = reader.doubles("critic/fitness");
  genomes_ = reader.genomes("critic/genome", space_, fitness.size());
  fitness_ = fitness;
  next_choice_ = reader.words("critic/next_choice", 1)[0];
  // Row by row, as the saved process grew, so that it is equal to the last bit.
  rebuild({form[0], form[1], form[2]});
  fresh_ = false;
}

}  // namespace renas::search
