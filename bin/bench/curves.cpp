#include "bench/curves.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <queue>

#include "renas/random.h"

using renas::Candidate;
using renas::Genome;
using renas::Purpose;
using renas::Random;

namespace {

/// An evaluation under way.
struct Evaluation {
  double end = 0;
  uint64_t id = 0;
  renas::Outcome outcome;
  bool operator>(const Evaluation& other) const {
    return end != other.end ? end > other.end : id > other.id;
  }
};

int count_changes(const Candidate& candidate) {
  // No strategy changes a slot twice, so that changes can be counted one by one.
  return static_cast<int>(std::count_if(candidate.mutations.begin(), candidate.mutations.end(),
                                        [](const renas::Mutation& m) { return m.from != m.to; }));
}

double winner_of(const renas::Strategy& strategy, const renas::Objective& objective,
                 const LineageModel& model, uint64_t seed) {
  constexpr double kRetrainingNoise = 0.7;
  Random random(seed, Purpose::kNoise, 3);
  double best_score = -std::numeric_limits<double>::infinity();
  double winner = 0;
  for (const renas::Member& member : strategy.finalists()) {
    const double truth =
        objective.truth(member.genome) - roughness_of(model, objective.space(), member.genome);
    const double score = truth + kRetrainingNoise * random.normal();
    if (score > best_score) {
      best_score = score;
      winner = truth;
    }
  }
  return winner;
}

}  // namespace

SearchRun run_search(const renas::Objective& objective, const renas::StrategyOptions& options,
                     const Trial& trial) {
  using SteadyClock = std::chrono::steady_clock;
  SearchRun run;
  Random random(options.seed, Purpose::kNoise);
  Deficits deficits(trial.lineage, options.seed);
  Clock clock(objective.space(), trial.durations, options.seed);
  SteadyClock::duration spent{};
  const auto timed = [&](const auto& work) {
    const auto started = SteadyClock::now();
    work();
    spent += SteadyClock::now() - started;
  };
  std::unique_ptr<renas::Strategy> strategy;
  timed([&] { strategy = renas::make_strategy(objective.space(), options); });
  std::priority_queue<Evaluation, std::vector<Evaluation>, std::greater<>> in_flight;
  double now = 0;
  int asked = 0;
  const auto begin = [&] {
    Candidate candidate;
    timed([&] { candidate = strategy->ask(); });
    ++asked;
    const int changes = count_changes(candidate);
    double reward = objective.reward(candidate.genome) - deficits.draw(candidate, changes);
    reward -= (candidate.parent ? trial.lineage.seen : 1) *
              roughness_of(trial.lineage, objective.space(), candidate.genome);
    if (trial.noise > 0) {
      reward += trial.noise * random.normal();
    }
    if (trial.noise > 0 || trial.lineage.on) {
      reward = std::clamp(reward, 0.0, 100.0);
    }
    if (candidate.parent) {
      run.changes.push_back(static_cast<float>(changes));
    }
    const bool fails = trial.fail_above > 0 &&
                       mult_adds_of(objective.space(), candidate.genome) > trial.fail_above;
    const double factor = candidate.parent ? 1 : trial.initial_duration;
    in_flight.push({now + factor * clock.duration(candidate.genome),
                    candidate.id,
                    {fails ? renas::Status::kOutOfMemory : renas::Status::kOk, reward / 100,
                     deficits.inherited(candidate, changes)}});
  };
  for (int told = 0; told < trial.evaluations; ++told) {
    while (std::ssize(in_flight) < trial.in_flight && asked < trial.evaluations &&
           !(trial.wait && strategy->waits())) {
      begin();
    }
    const Evaluation evaluation = in_flight.top();
    in_flight.pop();
    now = evaluation.end;
    timed([&] { strategy->tell(evaluation.id, evaluation.outcome); });

    const auto best = strategy->best();
    run.truth_of_best.push_back(
        static_cast<float>(best ? objective.truth(best->genome) -
                                      roughness_of(trial.lineage, objective.space(), best->genome)
                                : 0));
    double sum = 0;
    for (const renas::Member& member : strategy->population()) {
      sum += objective.reward(member.genome);
    }
    run.population_reward.push_back(static_cast<float>(
        sum / std::max(1.0, static_cast<double>(strategy->population().size()))));
  }
  run.winner = winner_of(*strategy, objective, trial.lineage, options.seed);
  run.time = now;
  run.counts = strategy->counts();
  run.seconds = std::chrono::duration<double>(spent).count();
  return run;
}

std::optional<Interval> bootstrap(const std::vector<double>& values) {
  if (values.empty()) {
    return std::nullopt;
  }
  constexpr int kResamples = 2000;
  const std::size_t n = values.size();
  Random random(0x5EED);
  std::vector<double> means(kResamples);
  for (double& mean : means) {
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i) {
      sum += values[random.below(n)];
    }
    mean = sum / static_cast<double>(n);
  }
  std::sort(means.begin(), means.end());
  Interval interval;
  for (const double value : values) {
    interval.mean += value / static_cast<double>(n);
  }
  interval.low = means[kResamples / 40];
  interval.high = means[kResamples - 1 - kResamples / 40];
  return interval;
}

namespace {

template <class Value>
std::optional<Interval> over_runs(const std::vector<SearchRun>& runs, Value&& value) {
  std::vector<double> values;
  for (const SearchRun& run : runs) {
    if (const std::optional<double> v = value(run)) {
      values.push_back(*v);
    }
  }
  return bootstrap(values);
}

std::optional<double> at(const std::vector<float>& curve, int evaluation) {
  if (static_cast<std::size_t>(evaluation) > curve.size()) {
    return std::nullopt;
  }
  return static_cast<double>(curve[evaluation - 1]);
}

std::vector<double> mean_of(const std::vector<SearchRun>& runs,
                            std::vector<float> SearchRun::*curve) {
  std::size_t length = std::numeric_limits<std::size_t>::max();
  for (const SearchRun& run : runs) {
    length = std::min(length, (run.*curve).size());
  }
  std::vector<double> mean(runs.empty() ? 0 : length);
  for (const SearchRun& run : runs) {
    for (std::size_t i = 0; i < length; ++i) {
      mean[i] += static_cast<double>((run.*curve)[i]) / static_cast<double>(runs.size());
    }
  }
  return mean;
}

}  // namespace

std::optional<Interval> StrategyCurves::truth_at(int evaluation) const {
  return over_runs(runs, [&](const SearchRun& run) { return at(run.truth_of_best, evaluation); });
}

std::optional<Interval> StrategyCurves::population_at(int evaluation) const {
  return over_runs(runs,
                   [&](const SearchRun& run) { return at(run.population_reward, evaluation); });
}

std::optional<Interval> StrategyCurves::changes_at(int evaluation) const {
  return over_runs(runs, [&](const SearchRun& run) -> std::optional<double> {
    // Evaluations without a parent come first, so the children are the last ones.
    const std::size_t first = run.truth_of_best.size() - run.changes.size();
    const std::size_t last = evaluation;
    if (last <= first || last > run.truth_of_best.size()) {
      return std::nullopt;
    }
    const std::size_t children = last - first;
    const std::size_t count = std::min<std::size_t>(50, children);
    double sum = 0;
    for (std::size_t i = children - count; i < children; ++i) {
      sum += static_cast<double>(run.changes[i]);
    }
    return sum / static_cast<double>(count);
  });
}

std::optional<Interval> StrategyCurves::winner() const {
  return over_runs(runs, [](const SearchRun& run) { return std::optional<double>(run.winner); });
}

std::optional<Interval> StrategyCurves::winner_minus(const StrategyCurves& other) const {
  std::vector<double> differences;
  for (std::size_t i = 0; i < runs.size() && i < other.runs.size(); ++i) {
    differences.push_back(runs[i].winner - other.runs[i].winner);
  }
  return bootstrap(differences);
}

std::vector<double> StrategyCurves::mean_truth() const {
  return mean_of(runs, &SearchRun::truth_of_best);
}

std::vector<double> StrategyCurves::mean_changes() const {
  return mean_of(runs, &SearchRun::changes);
}

std::optional<int> first_reaching(const std::vector<double>& truth, double goal) {
  const auto found =
      std::find_if(truth.begin(), truth.end(), [&](double value) { return value >= goal; });
  if (found == truth.end()) {
    return std::nullopt;
  }
  return static_cast<int>(found - truth.begin()) + 1;
}
