#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
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

/// The interval of a statistic of pairs with another judgement, and of how it differs from what it
/// is with the first. Both hold the same cells in the same order.
struct Comparison {
  Interval value, difference;
};
template <class Statistic>
Comparison compare(const std::vector<Pair>& first, const std::vector<Pair>& other,
                   const Statistic& statistic) {
  const auto numbers = resamples(first.size());
  const auto from = pick(first, numbers);
  const auto to = pick(other, numbers);
  std::vector<double> differences;
  for (std::size_t i = 0; i < from.size(); ++i) {
    differences.push_back(statistic(to[i]) - statistic(from[i]));
  }
  Comparison comparison{interval_of(to, statistic), percentiles(std::move(differences))};
  comparison.value.mean = statistic(other);
  comparison.difference.mean = statistic(other) - statistic(first);
  return comparison;
}

std::string text_of(const Interval& interval) {
  return fmt::format("{:.2f} [{:.2f}, {:.2f}]", interval.mean, interval.low, interval.high);
}

/// Prints how far two measures of the same cells, `fitness` and `truth` of the pairs, agree.
void print_reliability(const char* what, const char* between, const std::vector<Pair>& pairs) {
  if (pairs.size() < 3) return;
  Interval interval = interval_of(pick(pairs, resamples(pairs.size())), tau_of_all);
  interval.mean = tau_of_all(pairs);
  fmt::print("reliability of the {}: tau {} between {} of {} cells\n", what, text_of(interval),
             between, pairs.size());
}

using Results = std::map<int64_t, FitnessBank::Result>;  // by cell
using Scores = std::map<int64_t, double>;                // by cell; more is better

/// The fitness of a random cell beside a protocol's children: that of the same protocol where it
/// trained random cells too.
double fitness_of(const FitnessBank::Cell& cell, const Results& results) {
  const auto result = results.find(cell.id);
  return result == results.end() ? cell.fitness : result->second.fitness;
}

/// What a search that judges by effect would make of the results of a protocol: the effects of the
/// random cells and of the children; where no child inherited, the posterior means.
Scores effects_of(const FitnessBank& bank, const Results& results) {
  const auto space = renas::SearchSpace::renas(bank.options().at("blocks").get<int>());
  renas::search::Critic critic(space, renas::controller_options("default"));
  std::map<int64_t, renas::Genome> networks;  // canonical, by cell
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
    critic.learn(genome, fitness_of(cell, results), descent);
    networks[cell.id] = renas::canonical(space, genome);
  }
  std::map<renas::Genome, double> effects;
  for (const renas::Member& member : critic.best(networks.size())) {
    effects[member.genome] = member.effect;
  }
  Scores scores;
  for (const auto& [id, network] : networks) scores[id] = effects.at(network);
  return scores;
}

/// The losses, negated, of the children and of the random cells, as far as they are known.
Scores losses_of(const FitnessBank& bank, const Results& results) {
  Scores losses;
  for (const FitnessBank::Cell& cell : bank.cells()) {
    if (!cell.parent && cell.loss) losses[cell.id] = -*cell.loss;
  }
  for (const auto& [id, result] : results) {
    if (result.loss) losses[id] = -*result.loss;
  }
  return losses;
}

/// The pairs, judged by `scores` in place of the fitness; empty where one of them has no score.
std::vector<Pair> judged_by(const Scores& scores, std::vector<Pair> pairs) {
  for (Pair& pair : pairs) {
    const auto score = scores.find(pair.id);
    if (score == scores.end()) return {};
    pair.fitness = score->second;
  }
  return pairs;
}

/// The children of a protocol and their parents, as far as their truth is known.
std::vector<Pair> pairs_of(const FitnessBank& bank, const Results& results) {
  std::vector<Pair> pairs;
  std::set<int64_t> parents;
  const auto add = [&](int64_t id, double fitness) {
    const FitnessBank::Cell& cell = bank.cells()[static_cast<std::size_t>(id)];
    const auto truth = truth_of(cell);
    if (truth) pairs.push_back({id, cell.parent.value_or(-1), cell.changes, fitness, *truth});
  };
  for (const auto& [id, result] : results) {
    const auto parent = bank.cells()[static_cast<std::size_t>(id)].parent;
    if (!parent) continue;
    parents.insert(*parent);
    add(id, result.fitness);
  }
  for (const int64_t id : parents) {
    add(id, fitness_of(bank.cells()[static_cast<std::size_t>(id)], results));
  }
  return pairs;
}

std::vector<Pair> children_of(std::vector<Pair> pairs) {
  std::erase_if(pairs, [](const Pair& pair) { return pair.group < 0; });
  return pairs;
}

void print_drops(const FitnessBank& bank, const std::map<int64_t, FitnessBank::Result>& results) {
  std::map<int, std::vector<double>> drops;
  for (const auto& [id, result] : results) {
    const FitnessBank::Cell& cell = bank.cells()[static_cast<std::size_t>(id)];
    if (!cell.parent) continue;
    const FitnessBank::Cell& parent = bank.cells()[static_cast<std::size_t>(*cell.parent)];
    drops[cell.changes].push_back(100 * (result.fitness - fitness_of(parent, results)));
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

/// Prints how well each judgement of a protocol's results ranks cells.
void print_judgements(const FitnessBank& bank, const Results& results) {
  const std::vector<Pair> pairs = pairs_of(bank, results);
  if (pairs.size() < 3) return;
  const std::pair<const char*, Scores> judges[] = {{"by effect", effects_of(bank, results)},
                                                   {"by loss", losses_of(bank, results)}};
  fmt::print("  {:<34}{:>20}", "", "by fitness");
  for (const auto& [name, scores] : judges) {
    if (!judged_by(scores, pairs).empty()) fmt::print("{:>20}{:>22}", name, "minus by fitness");
  }
  fmt::print("\n");
  const auto print = [&](const char* what, const std::vector<Pair>& some, const auto& statistic) {
    fmt::print("  {:<34}{:>20}", what, text_of(compare(some, some, statistic).value));
    for (const auto& [name, scores] : judges) {
      const std::vector<Pair> other = judged_by(scores, some);
      if (judged_by(scores, pairs).empty()) continue;
      const Comparison comparison = compare(some, other, statistic);
      fmt::print("{:>20}{:>22}", text_of(comparison.value), text_of(comparison.difference));
    }
    fmt::print("\n");
  };
  print("tau over all cells", pairs, tau_of_all);
  print("tau among children of one parent", children_of(pairs), tau_of_siblings);
  print("recall of the best ten in twenty", pairs, recall);
}

/// Prints how tau over all cells differs from that of fitness in the protocol `base`, over the
/// cells that both have.
void print_against_base(const FitnessBank& bank) {
  const auto base = bank.results().find("base");
  if (base == bank.results().end() || bank.results().size() < 2) return;
  fmt::print("\n{:<36}{:>22}{:>22}{:>22}\n", "tau over all, minus base by fitness", "by fitness",
             "by effect", "by loss");
  for (const auto& [protocol, all] : bank.results()) {
    if (protocol == "base") continue;
    Results results;
    Results of_base;
    for (const auto& [id, result] : all) {
      if (!bank.cells()[static_cast<std::size_t>(id)].parent) {
        results[id] = result;
        continue;
      }
      const auto same = base->second.find(id);
      if (same == base->second.end()) continue;
      results[id] = result;
      of_base[id] = same->second;
    }
    const std::vector<Pair> from = pairs_of(bank, of_base);
    const std::vector<Pair> to = pairs_of(bank, results);
    if (from.size() < 3) continue;
    fmt::print("  {:<34}", protocol);
    for (const std::vector<Pair>& pairs :
         {to, judged_by(effects_of(bank, results), to), judged_by(losses_of(bank, results), to)}) {
      fmt::print("{:>22}",
                 pairs.empty() ? "-" : text_of(compare(from, pairs, tau_of_all).difference));
    }
    fmt::print("\n");
  }
}

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

/// The sum of squares about the mean.
double squares_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += std::pow(value - mean_of(values), 2);
  return sum;
}

/// Prints how much of a parent's worth its children have, and how much is to be found at all.
void print_heredity(const FitnessBank& bank) {
  std::map<int64_t, std::vector<double>> families;  // truths of children by parent, in %
  double best = 0;
  for (const FitnessBank::Cell& cell : bank.cells()) {
    const auto truth = truth_of(cell);
    if (!truth) continue;
    best = std::max(best, 100 * *truth);
    if (cell.parent && truth_of(bank.cells()[static_cast<std::size_t>(*cell.parent)])) {
      families[*cell.parent].push_back(100 * *truth);
    }
  }
  if (families.size() < 3) return;
  std::vector<double> parents;
  std::vector<double> children;
  double among_siblings = 0;
  double freedom = 0;
  for (const auto& [parent, truths] : families) {
    parents.push_back(100 * *truth_of(bank.cells()[static_cast<std::size_t>(parent)]));
    children.push_back(mean_of(truths));
    among_siblings += squares_of(truths);
    freedom += static_cast<double>(truths.size() - 1);
  }
  double product = 0;
  for (std::size_t i = 0; i < parents.size(); ++i) {
    product += (parents[i] - mean_of(parents)) * (children[i] - mean_of(children));
  }
  fmt::print(
      "heredity of the truth, in points: {} parents {:.1f} in the mean, standard deviation {:.1f}; "
      "children {:.1f}, {:+.2f} for each point of the parent, {:.1f} among siblings; best of all "
      "{:.1f}\n",
      parents.size(), mean_of(parents),
      std::sqrt(squares_of(parents) / static_cast<double>(parents.size() - 1)), mean_of(children),
      product / squares_of(parents), std::sqrt(among_siblings / freedom), best);
}

/// Prints what the gradient before all training tells of the truth.
void print_gradient(const FitnessBank& bank) {
  std::vector<Pair> pairs;
  for (const FitnessBank::Cell& cell : bank.cells()) {
    const auto truth = truth_of(cell);
    if (truth && cell.gradient) {
      pairs.push_back({cell.id, cell.parent.value_or(-1), cell.changes, -*cell.gradient, *truth});
    }
  }
  if (pairs.size() < 3) return;
  const auto children = children_of(pairs);
  fmt::print(
      "\nminus the norm of the initial gradient: tau {} over {} cells, {} among children "
      "of one parent\n",
      text_of(compare(pairs, pairs, tau_of_all).value), pairs.size(),
      text_of(compare(children, children, tau_of_siblings).value));
}

}  // namespace

void print_report(const FitnessBank& bank) {
  std::size_t children = 0;
  std::size_t known = 0;
  std::vector<Pair> truths;
  for (const FitnessBank::Cell& cell : bank.cells()) {
    children += cell.parent ? 1 : 0;
    known += truth_of(cell) ? 1 : 0;
    if (cell.truth.contains(0) && cell.truth.contains(1)) {
      truths.push_back({cell.id, 0, 0, cell.truth.at(0), cell.truth.at(1)});
    }
  }
  fmt::print("{} random cells and {} children; the truth of {} is known\n",
             bank.cells().size() - children, children, known);
  print_reliability("truth", "two seeds", truths);
  print_heredity(bank);
  std::vector<Pair> repeats;
  if (bank.results().contains("base") && bank.results().contains("again")) {
    const Results& again = bank.results().at("again");
    for (const auto& [id, result] : bank.results().at("base")) {
      const auto other = again.find(id);
      if (other == again.end()) continue;
      repeats.push_back({id, 0, 0, result.fitness, other->second.fitness});
    }
  }
  print_reliability("fitness", "base and again", repeats);
  for (const auto& [protocol, results] : bank.results()) {
    const auto trained = std::count_if(results.begin(), results.end(), [&](const auto& result) {
      return bank.cells()[static_cast<std::size_t>(result.first)].parent.has_value();
    });
    fmt::print("\n{}: {} children\n", protocol, trained);
    print_drops(bank, results);
    print_judgements(bank, results);
  }
  print_against_base(bank);
  print_gradient(bank);
}
