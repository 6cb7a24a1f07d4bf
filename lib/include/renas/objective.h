#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "renas/genome.h"
#include "renas/search_space.h"

namespace renas {

/// A known answer for every genome, to measure strategies on without training anything.
class Objective {
 public:
  virtual ~Objective() = default;
  virtual const SearchSpace& space() const = 0;
  /// What a strategy is told, in percent; without noise.
  virtual double reward(const Genome& genome) const = 0;
  /// What counts in the end, in percent.
  virtual double truth(const Genome& genome) const = 0;
  /// The largest truth there is; NaN where it is not known.
  virtual double best_truth() const = 0;
};

/// A table of results: `csv` has a header line with the column `arch` (genomes in the notation of
/// `space`) and any numeric columns, in percent; `reward` and `truth` name two of them.
/// Throws InvalidInput, with the line, where a column is missing, a value is not a number from 0 to
/// 100, a genome is malformed or stands there twice, or the table does not cover the space.
std::unique_ptr<Objective> table_objective(const SearchSpace& space, const std::string& csv,
                                           const std::string& reward, const std::string& truth);

/// A random function of genomes with the traits of a cell's accuracy, for spaces with input slots
/// (the paper's form: two inputs, two operators a block, i1 i2 o1 o2). A score adds up
///
///   operator preferences, common to all blocks and particular to each
///   what a block reads: preferences by source, and none for reading the same twice
///   pairs: the two operators of a block, and an operator with those of the block it reads
///   shape: depth of the cell and number of blocks it concatenates, each with a best value
///
/// and becomes an accuracy that saturates: with z the score in standard deviations over random
/// genomes, truth = 95 - 7 exp(-0.45 z). The reward has a score of its own, 0.35 standard
/// deviations apart (short training ranks networks differently), and lies lower. Equal for genomes
/// that give the same network by swapping halves. A pure function of (space, seed).
std::unique_ptr<Objective> synthetic_objective(const SearchSpace& space, uint64_t seed);

}  // namespace renas
