#include "search/critic/critic.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <utility>

#include "renas/error.h"
#include "search/critic/quantile.h"

namespace renas::search {

namespace {

// The grid of hyper-parameters.
constexpr double kRhos[] = {0.5, 0.7, 0.8, 0.88, 0.94};
constexpr double kKappas[] = {0.8, 0.9, 1.0};
constexpr double kNoises[] = {0.003, 0.03, 0.1, 0.3, 1.0};
constexpr double kShocks[] = {0.1, 0.25, 0.5, 1.0};

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
      most_in_flight_(static_cast<std::size_t>(options.critic_in_flight)),
      similarity_(space),
      process_(make_gaussian_process()) {}

void Critic::append(std::size_t i) {
  row_.resize(i - first_);
  similarity_.compare(genomes()[i], first_, i, row_.data());
  if (corrects_) {
    for (std::size_t j = first_; j < i; ++j) {
      row_[j - first_] += deficits_.covariance(i, j);
    }
  }
  process_->append(row_.data(), 1 + form_.noise + (corrects_ ? deficits_.covariance(i, i) : 0));
}

void Critic::rebuild(const Form& form, std::size_t first) {
  form_ = form;
  first_ = first;
  similarity_.set(form.rho, form.kappa);
  deficits_.set(form.shock, form.recovery);
  process_->clear();
  for (std::size_t i = first; i < genomes().size(); ++i) {
    append(i);
  }
}

double Critic::likelihood(const Form& form, std::size_t first) {
  rebuild(form, first);
  const double likelihood = process_->solve(targets_.data() + first, weights_.data());
  if (!corrects_) {
    return likelihood;
  }
  // The scale of the effects is unknown: its likeliest value counts.
  const std::size_t n = genomes().size() - first;
  double squares = 0;
  for (std::size_t i = 0; i < n; ++i) {
    squares += targets_[first + i] * weights_[i];
  }
  const double count = static_cast<double>(n);
  return likelihood + 0.5 * squares - 0.5 * count * std::log(std::max(1e-12, squares / count));
}

void Critic::choose() {
  const std::size_t first = genomes().size() - std::min(genomes().size(), kJudges);
  double best = -std::numeric_limits<double>::infinity();
  Form chosen = form_;
  const auto consider = [&](const Form& form) {
    const double now = likelihood(form, first);
    if (now > best) {
      best = now;
      chosen = form;
    }
  };
  const Form before = form_;
  for (const double rho : kRhos) {
    for (const double kappa : kKappas) {
      for (const double noise : kNoises) {
        consider({rho, kappa, noise, before.shock, before.recovery});
      }
    }
  }
  if (corrects_) {
    const Form kernel = chosen;
    for (const double noise : kNoises) {
      for (const double shock : kShocks) {
        for (int recovery = 0; recovery < static_cast<int>(kRecoveries.size()); ++recovery) {
          consider({kernel.rho, kernel.kappa, noise, shock, recovery});
        }
      }
    }
  }
  rebuild(chosen);
}

void Critic::set_targets() {
  if (corrects_) {
    set_fitness_targets();
  } else {
    set_rank_targets();
  }
}

void Critic::set_fitness_targets() {
  std::vector<double> sorted = fitness_;
  std::sort(sorted.begin(), sorted.end());
  const double low = sorted[sorted.size() / 4];
  const double high = sorted[sorted.size() - 1 - sorted.size() / 4];
  const double fence = low - 1.5 * (high - low);
  const double count = static_cast<double>(fitness_.size());
  double squares = 0;
  offset_ = 0;
  for (const double fitness : fitness_) {
    offset_ += std::max(fence, fitness) / count;
  }
  for (const double fitness : fitness_) {
    squares += std::pow(std::max(fence, fitness) - offset_, 2) / count;
  }
  unit_ = std::sqrt(std::max(1e-12, squares));
  targets_.clear();
  for (const double fitness : fitness_) {
    targets_.push_back((std::max(fence, fitness) - offset_) / unit_);
  }
}

void Critic::set_rank_targets() {
  std::map<Genome, std::pair<double, double>> sums;
  for (std::size_t i = 0; i < genomes().size(); ++i) {
    auto& [sum, count] = sums[genomes()[i]];
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

void Critic::learn(const Genome& genome, double fitness, const Descent& descent) {
  similarity_.add(canonical(space_, genome));
  fitness_.push_back(fitness);
  deficits_.add(descent);
  if (descent.inherited > 0 && !corrects_) {
    corrects_ = true;
    next_choice_ = std::min<uint64_t>(next_choice_, std::max<uint64_t>(10, genomes().size()));
    process_->clear();
  }
  if (process_->size() + 1 == genomes().size()) {
    append(genomes().size() - 1);
  }
  fresh_ = false;
  effects_fresh_ = false;
  if (genomes().size() > kMemory) {
    forget();
  }
}

double Critic::worst() const {
  const auto least = std::min_element(fitness_.begin(), fitness_.end());
  return least == fitness_.end() ? 0 : *least;
}

void Critic::forget() {
  std::vector<double> value = fitness_;
  if (corrects_) {
    compute_effects();
    for (std::size_t i = 0; i < value.size(); ++i) {
      value[i] = effects_[i].value;
    }
  }
  std::vector<double> sorted = value;
  std::nth_element(sorted.begin(), sorted.end() - kKeep, sorted.end());
  const double best = *(sorted.end() - kKeep);
  std::vector<bool> dropped(genomes().size());
  std::size_t count = 0;
  // Where many are equal, the oldest of them go too.
  for (const bool equal : {false, true}) {
    for (std::size_t i = 0; i < dropped.size() && count < kForget; ++i) {
      if (!dropped[i] && (value[i] < best || (equal && value[i] == best))) {
        dropped[i] = true;
        ++count;
      }
    }
  }
  std::size_t to = 0;
  for (std::size_t i = 0; i < dropped.size(); ++i) {
    if (dropped[i]) continue;
    fitness_[to++] = fitness_[i];
  }
  fitness_.resize(to);
  similarity_.drop(dropped);
  deficits_.drop(dropped);
  next_choice_ = genomes().size();
  process_->clear();
  fresh_ = false;
  effects_fresh_ = false;
}

void Critic::refresh() {
  if (fresh_) return;
  const std::size_t n = genomes().size();
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
  if (corrects_) {
    double squares = 0;
    for (std::size_t i = 0; i < n; ++i) squares += targets_[i] * weights_[i];
    scale_ = std::sqrt(std::max(1e-12, squares / static_cast<double>(n)));
  }
  fresh_ = true;
}

void Critic::compute_effects() {
  if (effects_fresh_) return;
  refresh();
  effects_.clear();
  // What the process explains of a target, without the deficit and the noise.
  const std::vector<double> deficits = deficits_.times(weights_);
  for (std::size_t i = 0; i < genomes().size(); ++i) {
    const double effect = targets_[i] - form_.noise * weights_[i] - deficits[i];
    effects_.push_back({deficits_.id(i), offset_ + unit_ * effect});
  }
  effects_fresh_ = true;
}

const std::vector<Critic::Effect>& Critic::effects() {
  if (corrects_) {
    compute_effects();
  }
  return effects_;
}

std::vector<Member> Critic::best(std::size_t count) {
  compute_effects();
  std::vector<std::size_t> order(genomes().size());
  std::iota(order.rbegin(), order.rend(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return effects_[a].value > effects_[b].value;
  });
  std::vector<Member> found;
  for (const std::size_t i : order) {
    if (found.size() == count) break;
    const bool again = std::any_of(found.begin(), found.end(), [&](const Member& member) {
      return member.genome == genomes()[i];
    });
    if (!again) {
      found.push_back({effects_[i].id, genomes()[i], fitness_[i], effects_[i].value});
    }
  }
  return found;
}

std::vector<Genome> Critic::nearest(const std::vector<Genome>& candidates,
                                    std::span<const Genome* const> in_flight) const {
  const std::size_t count = std::min(most_in_flight_, in_flight.size());
  if (count == 0) return {};
  Similarity all(space_);
  all.set(form_.rho, form_.kappa);
  for (const Genome* genome : in_flight) all.add(canonical(space_, *genome));
  std::vector<double> highest(in_flight.size());
  std::vector<double> row(in_flight.size());
  for (const Genome& candidate : candidates) {
    all.compare(candidate, 0, row.size(), row.data());
    for (std::size_t i = 0; i < row.size(); ++i) highest[i] = std::max(highest[i], row[i]);
  }
  std::vector<std::size_t> order(in_flight.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return highest[a] > highest[b]; });
  std::vector<Genome> genomes;
  for (std::size_t i = 0; i < count; ++i) genomes.push_back(all.genomes()[order[i]]);
  return genomes;
}

void Critic::count_pending(const std::vector<Genome>& candidates,
                           const std::vector<Genome>& pending, const std::vector<double>& solved,
                           std::vector<double>& variances) const {
  const std::size_t n = genomes().size();
  const std::size_t count = pending.size();
  const std::size_t columns = candidates.size();
  Similarity similarity(space_);
  similarity.set(form_.rho, form_.kappa);
  for (const Genome& genome : pending) similarity.add(genome);
  std::vector<double> row(std::max(n, count));
  std::vector<double> known(n * count);  // L^-1 times their covariances with the results
  for (std::size_t p = 0; p < count; ++p) {
    similarity_.compare(pending[p], 0, n, row.data());
    for (std::size_t i = 0; i < n; ++i) known[i * count + p] = row[i];
  }
  process_->solve_lower(known.data(), count);
  // A process of its own for what the results leave unexplained.
  const std::unique_ptr<GaussianProcess> rest = make_gaussian_process();
  for (std::size_t p = 0; p < count; ++p) {
    similarity.compare(pending[p], 0, p + 1, row.data());
    for (std::size_t i = 0; i < n; ++i) {
      const double own = known[i * count + p];
      for (std::size_t q = 0; q <= p; ++q) row[q] -= own * known[i * count + q];
    }
    rest->append(row.data(), row[p] + form_.noise);
  }
  std::vector<double> covariance(count * columns);
  for (std::size_t c = 0; c < columns; ++c) {
    similarity.compare(candidates[c], 0, count, row.data());
    for (std::size_t i = 0; i < n; ++i) {
      const double own = solved[i * columns + c];
      for (std::size_t p = 0; p < count; ++p) row[p] -= own * known[i * count + p];
    }
    for (std::size_t p = 0; p < count; ++p) covariance[p * columns + c] = row[p];
  }
  rest->solve_lower(covariance.data(), columns);
  for (std::size_t p = 0; p < count; ++p) {
    for (std::size_t c = 0; c < columns; ++c) {
      variances[c] -= covariance[p * columns + c] * covariance[p * columns + c];
    }
  }
}

std::vector<double> Critic::rank(std::span<const Genome* const> given,
                                 std::span<const Genome* const> in_flight) {
  const std::size_t n = genomes().size();
  refresh();
  const std::size_t columns = given.size();
  std::vector<Genome> candidates;
  for (const Genome* genome : given) candidates.push_back(canonical(space_, *genome));
  std::vector<double> means(columns);
  row_.resize(n);
  solved_.resize(n * columns);
  for (std::size_t c = 0; c < columns; ++c) {
    similarity_.compare(candidates[c], 0, n, row_.data());
    for (std::size_t i = 0; i < n; ++i) {
      means[c] += row_[i] * weights_[i];
      solved_[i * columns + c] = row_[i];
    }
  }
  process_->solve_lower(solved_.data(), columns);
  std::vector<double> variances(columns, 1.0);
  for (std::size_t c = 0; c < columns; ++c) {
    for (std::size_t i = 0; i < n; ++i) {
      variances[c] -= solved_[i * columns + c] * solved_[i * columns + c];
    }
  }
  const std::vector<Genome> pending = nearest(candidates, in_flight);
  if (!pending.empty()) count_pending(candidates, pending, solved_, variances);
  std::vector<double> worth;
  const double optimism = corrects_ ? optimism_ * scale_ : optimism_;
  for (std::size_t c = 0; c < columns; ++c) {
    worth.push_back(means[c] + optimism * std::sqrt(std::max(0.0, variances[c])));
  }
  return worth;
}

void Critic::save(StateWriter& writer, const std::string& name) const {
  writer.genomes(name + "/genome", genomes());
  writer.put(name + "/fitness", fitness_);
  writer.put(name + "/next_choice", std::vector<uint64_t>{next_choice_});
  writer.put(name + "/form",
             std::vector<double>{form_.rho, form_.kappa, form_.noise, form_.shock,
                                 static_cast<double>(form_.recovery), corrects_ ? 1.0 : 0.0});
  deficits_.save(writer, name);
}

void Critic::load(const StateReader& reader, const std::string& name) {
  const auto& form = reader.doubles(name + "/form", 6);
  const int recovery = static_cast<int>(form[4]);
  if (!(form[0] > 0 && form[0] < 1 && form[1] > 0 && form[1] <= 1 && form[2] > 0 && form[3] > 0 &&
        form[4] == recovery && recovery >= 0 && recovery < std::ssize(kRecoveries))) {
    throw InvalidInput("search state: array '" + name + "/form' is out of range");
  }
  const auto& fitness = reader.doubles(name + "/fitness");
  similarity_ = Similarity(space_);
  for (Genome& genome : reader.genomes(name + "/genome", space_, fitness.size())) {
    similarity_.add(std::move(genome));
  }
  deficits_.load(reader, name, fitness.size());
  fitness_ = fitness;
  corrects_ = form[5] != 0;
  next_choice_ = reader.words(name + "/next_choice", 1)[0];
  // Row by row, as the saved process grew, so that it is equal to the last bit.
  rebuild({form[0], form[1], form[2], form[3], recovery});
  fresh_ = false;
  effects_fresh_ = false;
}

}  // namespace renas::search
