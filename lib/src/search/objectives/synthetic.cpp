#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "renas/error.h"
#include "renas/objective.h"
#include "renas/random.h"

namespace renas {

namespace {

// The distance between the scores of reward and truth, in standard deviations.
constexpr double kProxyGap = 0.35;
// The number of random genomes from which mean and deviation are estimated.
constexpr int kCalibration = 4000;

class SyntheticObjective final : public Objective {
 public:
  SyntheticObjective(const SearchSpace& space, uint64_t seed) : space_(space) {
    if (space.notation() != Notation::kCell) {
      throw InvalidInput(
          fmt::format("synthetic objective: search space '{}' has not the paper's form of block",
                      space.name()));
    }
    inputs_ = static_cast<int>(space.cell_inputs().size());
    number_choices();
    Random random(seed, Purpose::kNoise, 0x5E);
    for (std::vector<Weights>* weights : {&truth_weights_, &gap_weights_}) {
      for (int cell = 0; cell < space.cell_count(); ++cell) {
        weights->push_back(draw(cell, random));
      }
    }

    std::vector<Genome> genomes;
    genomes.reserve(kCalibration);
    for (int i = 0; i < kCalibration; ++i) {
      genomes.push_back(random_genome(space, random));
    }
    for (std::vector<Weights>* weights : {&truth_weights_, &gap_weights_}) {
      for (Weights& w : *weights) calibrate(w, genomes);
    }
  }

  const SearchSpace& space() const override { return space_; }
  double truth(const Genome& genome) const override {
    return accuracy(standard_score(truth_weights_, genome));
  }
  double reward(const Genome& genome) const override {
    // The truth's score plus kProxyGap of another, scaled back to standard deviation 1.
    const double z = (standard_score(truth_weights_, genome) +
                      kProxyGap * standard_score(gap_weights_, genome)) /
                     std::sqrt(1 + kProxyGap * kProxyGap);
    return accuracy(z) - 8;
  }
  double best_truth() const override { return std::numeric_limits<double>::quiet_NaN(); }

 private:
  /// The weights of a cell's score, and its mean and standard deviation over random genomes.
  struct Weights {
    int first = 0;  // the cell's first block in the space
    int blocks = 0;
    std::vector<double> operators;  // [1 + block][operator]; row 0 is common to all blocks
    std::vector<double> sources;    // [1 + block][source]; row 0 is common to all blocks
    std::vector<double> pairs;      // [operator][operator] of one block, used in both orders
    std::vector<double> chains;     // [operator of the block read][operator that reads it]
    double same_source = 0;
    double best_depth = 0, depth = 0;
    double best_ends = 0, ends = 0;
    double mean = 0, deviation = 1;
  };

  /// Fills meanings_: a part of the paper's space may offer other choices in each slot. An operator
  /// is numbered by where it first stands, a source by the inputs of the cell, then its blocks.
  void number_choices() {
    std::vector<std::string> operators;
    for (int i = 0; i < space_.slot_count(); ++i) {
      const Slot& slot = space_.slot(i);
      std::vector<int>& meaning = meanings_.emplace_back();
      for (const std::string& choice : slot.choices) {
        if (slot.kind == Slot::Kind::kOperator) {
          const auto found = std::find(operators.begin(), operators.end(), choice);
          meaning.push_back(static_cast<int>(found - operators.begin()));
          if (found == operators.end()) operators.push_back(choice);
        } else {
          const std::vector<std::string>& inputs = space_.cell_inputs();
          const auto found = std::find(inputs.begin(), inputs.end(), choice);
          meaning.push_back(found != inputs.end() ? static_cast<int>(found - inputs.begin())
                                                  : inputs_ + std::stoi(choice) - 1);
        }
      }
    }
    operators_ = static_cast<int>(operators.size());
  }

  static double accuracy(double z) { return std::max(10.0, 95 - 7 * std::exp(-0.45 * z)); }

  Weights draw(int cell, Random& random) const {
    Weights w;
    w.first = space_.first_block(cell);
    w.blocks = space_.first_block(cell + 1) - w.first;
    const auto fill = [&](std::vector<double>& values, int count, double deviation) {
      for (int i = 0; i < count; ++i) {
        values.push_back(deviation * random.normal());
      }
    };
    fill(w.operators, operators_, 0.7);
    fill(w.operators, w.blocks * operators_, 0.5);
    const int sources = inputs_ + w.blocks;
    fill(w.sources, sources, 0.3);
    fill(w.sources, w.blocks * sources, 0.3);
    fill(w.pairs, operators_ * operators_, 0.5);
    fill(w.chains, operators_ * operators_, 0.5);
    w.same_source = -0.4 * random.uniform();
    w.best_depth = random.uniform(1, w.blocks);
    w.depth = 0.6 * random.uniform();
    w.best_ends = random.uniform(1, w.blocks);
    w.ends = 0.6 * random.uniform();
    return w;
  }

  void calibrate(Weights& w, const std::vector<Genome>& genomes) const {
    double sum = 0;
    double squares = 0;
    for (const Genome& genome : genomes) {
      const double s = score(w, genome);
      sum += s;
      squares += s * s;
    }
    const double n = static_cast<double>(genomes.size());
    w.mean = sum / n;
    const double deviation = std::sqrt(std::max(0.0, squares / n - w.mean * w.mean));
    if (deviation > 0) w.deviation = deviation;  // else the space has one genome
  }

  /// The mean of the cells' scores, scaled to standard deviation 1.
  double standard_score(const std::vector<Weights>& cells, const Genome& genome) const {
    double sum = 0;
    for (const Weights& w : cells) sum += (score(w, genome) - w.mean) / w.deviation;
    return sum / std::sqrt(static_cast<double>(cells.size()));
  }

  double score(const Weights& w, const Genome& genome) const {
    const auto token = [&](int b, int i) {
      const int slot = 4 * (w.first + b) + i;
      return meanings_[slot][genome[slot]];
    };
    std::vector<int> depth(w.blocks, 1);
    std::vector<bool> read(w.blocks, false);
    const int sources = inputs_ + w.blocks;
    double sum = 0;
    for (int b = 0; b < w.blocks; ++b) {
      for (int half = 0; half < 2; ++half) {
        const int source = token(b, half);
        const int op = token(b, 2 + half);
        sum += w.operators[op] + w.operators[operators_ * (1 + b) + op];
        sum += w.sources[source] + w.sources[sources * (1 + b) + source];
        if (source < inputs_) {
          continue;
        }
        const int from = source - inputs_;
        read[from] = true;
        depth[b] = std::max(depth[b], depth[from] + 1);
        for (int other = 0; other < 2; ++other) {
          sum += 0.5 * w.chains[token(from, 2 + other) * operators_ + op];
        }
      }
      const int o1 = token(b, 2);
      const int o2 = token(b, 3);
      sum += w.pairs[o1 * operators_ + o2] + w.pairs[o2 * operators_ + o1];
      if (token(b, 0) == token(b, 1)) {
        sum += w.same_source;
      }
    }
    const double deepest = *std::max_element(depth.begin(), depth.end());
    const double ends = static_cast<double>(std::count(read.begin(), read.end(), false));
    sum -= w.depth * std::pow(deepest - w.best_depth, 2);
    sum -= w.ends * std::pow(ends - w.best_ends, 2);
    return sum;
  }

  SearchSpace space_;
  int inputs_ = 0;
  int operators_ = 0;
  std::vector<std::vector<int>> meanings_;            // [slot][choice]: its operator or source
  std::vector<Weights> truth_weights_, gap_weights_;  // of each cell
};

}  // namespace

std::unique_ptr<Objective> synthetic_objective(const SearchSpace& space, uint64_t seed) {
  return std::make_unique<SyntheticObjective>(space, seed);
}

}  // namespace renas
