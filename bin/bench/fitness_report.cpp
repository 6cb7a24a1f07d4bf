#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "bench/curves.h"
#include "bench/fitness_bank.h"
#include "renas/random.h"
#include "search/critic/critic.h"

namespace {

/// A cell with what a protocol said of it and what it is worth.
struct Pair {
  int64_t id = 0;
  int64_t group = 0;  ///< its parent
  int changes = 0;
  double fitness = 0;
  double truth = 0;
};

/// Kendall's tau (tau-a) over the pairs of `pairs` for which `counts` is true; NaN if there are
/// none.
template <class Counts>
double tau(const std::vector<Pair>& pairs, const Counts& counts) {
  double sum = 0;
  double number = 0;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (!counts(pairs[i], pairs[j])) continue;
      const double product =
          (pairs[i].fitness - pairs[j].fitness) * (pairs[i].truth - pairs[j].truth);
      sum += product > 0 ? 1 : product < 0 ? -1 : 0;
      number += 1;
    }
  }
  return number > 0 ? sum / number : std::nan("");
}

double tau_of_all(const std::vector<Pair>& pairs) {
  return tau(pairs, [](const Pair&, const Pair&) { return true; });
}

double tau_of_siblings(const std::vector<Pair>& pairs) {
  return tau(pairs, [](const Pair& a, const Pair& b) { return a.group == b.group; });
}

/// The share of the truly best ten that are among the best twenty by fitness.
double recall(const std::vector<Pair>& pairs) {
  const auto best = [&](double Pair::*by, std::size_t count) {
    std::vector<std::size_t> order(pairs.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return pairs[a].*by > pairs[b].*by; });
    order.resize(std::min(count, order.size()));
    return std::set<std::size_t>(order.begin(), order.end());
  };
  const auto true_best = best(&Pair::truth, 10);
  const auto chosen = best(&Pair::fitness, 20);
  double found = 0;
  for (const std::size_t i : true_best) found += chosen.contains(i) ? 1 : 0;
  return found / static_cast<double>(true_best.size());
}

/// The 95 % interval of values from resamples.
Interval percentiles(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return {.mean = 0,
          .low = values[values.size() / 40],
          .high = values[values.size() - 1 - values.size() / 40]};
}

/// The interval of a statistic of pairs over resamples of the pairs.
template <class Statistic>
Interval interval_of(const std::vector<std::vector<Pair>>& samples, const Statistic& statistic) {
  std::vector<double> values;
  for (const auto& sample : samples) values.push_back(statistic(sample));
  return percentiles(std::move(values));
}

/// Resamples of `count` numbers below `count`.
std::vector<std::vector<std::size_t>> resamples(std::size_t count) {
  constexpr int kResamples = 1000;
  renas::Random random(0x5EED);
  std::vector<std::vector<std::size_t>> all(kResamples, std::vector<std::size_t>(count));
  for (auto& sample : all) {
    for (std::size_t& i : sample) i = random.below(count);
  }
  return all;
}

std::vector<std::vector<Pair>> pick(const std::vector<Pair>& pairs,
                                    const std::vector<std::vector<std::size_t>>& samples) {
  std::vector<std::vector<Pair>> picked;
  for (const auto& sample : samples) {
    picked.emplace_back();
    for (const std::size_t i : sample) picked.back().push_back(pairs[i]);
  }
  return picked;
}

std::optional<double> truth_of(const FitnessBank::Cell& cell) {
  if (cell.truth.empty()) return std::nullopt;
  double sum = 0;
  for (const auto& [seed, accuracy] : cell.truth) sum += accuracy;
  return sum / static_cast<double>(cell.truth.size());
}

void print_reliability(const FitnessBank& bank) {
  std::vector<Pair> pairs;
  for (const FitnessBank::Cell& cell : bank.cells()) {
    if (cell.truth.contains(0) && cell.truth.contains(1)) {
      pairs.push_back({cell.id, 0, 0, cell.truth.at(0), cell.truth.at(1)});
    }
  }
  if (pairs.size() < 3) return;
  const Interval interval = interval_of(pick(pairs, resamples(pairs.size())), tau_of_all);
  fmt::print(
      "reliability of the truth: tau {:.2f} [{:.2f}, {:.2f}] between two seeds of {} cells\n",
      tau_of_all(pairs), interval.low, interval.high, pairs.size());
}

/// What a search that judges by effect would make of the results of a protocol: the effects of the
/// random cells and of the children, by cell.
std::map<int64_t, double> effects_of(const FitnessBank& bank,
                                     const std::map<int64_t, FitnessBank::Result>& results) {
  const auto space = renas::SearchSpace::renas(bank.options().at("blocks").get<int>());
  renas::search::Critic critic(space, renas::controller_options("default"));
  for (const FitnessBank::Cell& cell : bank.cells()) {
    const auto result = results.find(cell.id);
    if (cell.parent && result == results.end()) continue;
    const renas::Genome genome = renas::parse_genome(space, cell.genome);
    renas::search::Descent descent;
    descent.id = static_cast<uint64_t>(cell.id);
    if (cell.parent) {
      descent.parent = static_cast<uint64_t>(*cell.parent);
      descent.changes = cell.changes;
      descent.inherited = result->second.inherited;
    }
    critic.learn(genome, cell.parent ? result->second.fitness : cell.fitness, descent);
  }
  std::map<int64_t, double> effects;
  for (const auto& effect : critic.effects()) {
    effects[static_cast<int64_t>(effect.id)] = effect.value;
  }
  return effects;
}

void print_drops(const FitnessBank& bank, const std::map<int64_t, FitnessBank::Result>& results) {
  std::map<int, std::vector<double>> drops;
  for (const auto& [id, result] : results) {
    const FitnessBank::Cell& cell = bank.cells()[static_cast<std::size_t>(id)];
    const FitnessBank::Cell& parent = bank.cells()[static_cast<std::size_t>(*cell.parent)];
    drops[cell.changes].push_back(100 * (result.fitness - parent.fitness));
  }
  fmt::print("  fitness minus parent's, points:");
  for (const auto& [changes, values] : drops) {
    double sum = 0;
    for (const double value : values) sum += value;
    fmt::print(" {:+.1f} with {} change{}", sum / static_cast<double>(values.size()), changes,
               changes == 1 ? ";" : "s;");
  }
  fmt::print("\n");
}

}  // namespace

void print_report(const FitnessBank& bank) {
  std::size_t children = 0;
  std::size_t known = 0;
  for (const FitnessBank::Cell& cell : bank.cells()) {
    children += cell.parent ? 1 : 0;
    known += truth_of(cell) ? 1 : 0;
  }
  fmt::print("{} random cells and {} children; the truth of {} is known\n",
             bank.cells().size() - children, children, known);
  print_reliability(bank);
  for (const auto& [protocol, results] : bank.results()) {
    std::vector<Pair> pairs;  // children and their parents
    std::set<int64_t> parents;
    for (const auto& [id, result] : results) {
      const FitnessBank::Cell& cell = bank.cells()[static_cast<std::size_t>(id)];
      parents.insert(*cell.parent);
      if (const auto truth = truth_of(cell)) {
        pairs.push_back({id, *cell.parent, cell.changes, result.fitness, *truth});
      }
    }
    const std::map<int64_t, double> effects = effects_of(bank, results);
    std::vector<Pair> siblings = pairs;
    for (const int64_t id : parents) {
      const FitnessBank::Cell& cell = bank.cells()[static_cast<std::size_t>(id)];
      if (const auto truth = truth_of(cell)) pairs.push_back({id, id, 0, cell.fitness, *truth});
    }
    fmt::print("\n{}: {} children\n", protocol, results.size());
    print_drops(bank, results);
    if (pairs.size() < 3) continue;
    const auto judged = [&](std::vector<Pair> all) {
      for (Pair& pair : all) pair.fitness = effects.at(pair.id);
      return all;
    };
    fmt::print("  {:<36}{:>20}{:>20}{:>22}\n", "", "by fitness", "by effect", "difference");
    const auto print = [&](const char* what, const std::vector<Pair>& all, const auto& statistic) {
      const auto numbers = resamples(all.size());
      const auto raw = pick(all, numbers);
      const auto by_effect = pick(judged(all), numbers);
      const auto cell = [](double value, const Interval& interval) {
        return fmt::format("{:.2f} [{:.2f}, {:.2f}]", value, interval.low, interval.high);
      };
      std::vector<double> differences;
      for (std::size_t i = 0; i < raw.size(); ++i) {
        differences.push_back(statistic(by_effect[i]) - statistic(raw[i]));
      }
      fmt::print("  {:<36}{:>20}{:>20}{:>22}\n", what,
                 cell(statistic(all), interval_of(raw, statistic)),
                 cell(statistic(judged(all)), interval_of(by_effect, statistic)),
                 cell(statistic(judged(all)) - statistic(all), percentiles(differences)));
    };
    print("tau over all cells", pairs, tau_of_all);
    print("tau among children of one parent", siblings, tau_of_siblings);
    print("recall of the best ten in twenty", pairs, recall);
  }
}
