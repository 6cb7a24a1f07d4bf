#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "renas/genome.h"
#include "renas/search_space.h"

namespace renas {

/// A benchmark objective: a known answer for every genome, so that strategies can be compared
/// without training anything.
class Objective {
 public:
  virtual ~Objective() = default;
  virtual const SearchSpace& space() const = 0;
  /// The accuracy a strategy is told, in percent, without noise.
  virtual double reward(const Genome& genome) const = 0;
  /// The accuracy that counts in the end, in percent.
  virtual double truth(const Genome& genome) const = 0;
  /// The largest truth in the space; NaN where it is not known.
  virtual double best_truth() const = 0;
};

/// A tabular benchmark: the results of all genomes of `space`, read from a table.
///
/// csv             has a header line, a column `arch` with genomes in the notation of `space`, and
///                 any numeric columns, in percent
/// reward, truth   name two of the numeric columns
/// Throws InvalidInput, with the line at fault, if a column is missing, a value is not a number
/// from 0 to 100, a genome is malformed or appears twice, or the table does not cover the space.
std::unique_ptr<Objective> table_objective(const SearchSpace& space, const std::string& csv,
                                           const std::string& reward, const std::string& truth);

/// A synthetic benchmark: a random function of genomes that behaves like the accuracy of a cell.
/// It takes spaces of the paper's form (two inputs and two operators a block: i1 i2 o1 o2). The
/// score of a genome is a sum of
///
///   operators   a preference for each, common to all blocks, and another for each block
///   inputs      a preference for each source, and a penalty for reading the same source twice
///   pairs       of the two operators of a block, and of an operator with those of the block it
///               reads
///   shape       penalties on the depth of the cell and on the number of blocks it concatenates,
///               each around a best value
///
/// (of two cells, the mean of two scores that have nothing in common)
///
/// and becomes an accuracy that saturates: if z is the score in standard deviations over random
/// genomes, truth = 95 - 7 exp(-0.45 z). The reward comes from a score of its own, 0.35 standard
/// deviations away, because short training ranks networks differently; it is also lower. Genomes
/// that differ only in the order of a block's halves score the same. The function depends on
/// (space, seed) alone. Throws InvalidInput if the space does not have the paper's form.
std::unique_ptr<Objective> synthetic_objective(const SearchSpace& space, uint64_t seed);

}  // namespace renas
