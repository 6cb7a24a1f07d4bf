#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "renas/genome.h"
#include "renas/search_space.h"

namespace renas::search {

/// The similarity of two genomes: a positive definite kernel with values in (0, 1], 1 for equal
/// networks. It is the product of two kernels:
///
///   by place   the product over all slots of 1 where the genomes agree, `rho` where they differ.
///              Where the halves of a block can be swapped without changing the network, both ways
///              of matching them add up, and the kernel is normalised so that a genome's similarity
///              to itself is 1.
///   by count   `kappa` to the power of d, the sum over operators of the difference in how often
///              each occurs. It says that an operator is worth much the same wherever it stands.
///              Slots of a cell share their counts if they choose from the same operators. In
///              spaces of more than 256 different operators this kernel is 1.
///
/// It holds the genomes that others are compared with, slot by slot, so that a comparison with all
/// of them runs over arrays.
class Similarity {
 public:
  explicit Similarity(const SearchSpace& space);

  /// Sets rho, in (0, 1), and kappa, in (0, 1].
  void set(double rho, double kappa);

  /// The number of genomes held.
  std::size_t size() const { return genomes_.size(); }
  /// The genomes held, oldest first.
  const std::vector<Genome>& genomes() const { return genomes_; }
  /// Adds a genome behind those held.
  void add(Genome genome);
  /// Removes the genomes that `dropped` [size()] marks; the others keep their order.
  void drop(const std::vector<bool>& dropped);
  /// Computes the similarity of `genome` to the genomes from number `first` on, before `last`.
  ///
  /// row  [last - first]
  void compare(const Genome& genome, std::size_t first, std::size_t last, double* row) const;

 private:
  using Column = std::vector<uint16_t>;  // a number for each genome held

  void compare_by_place(const Genome& genome, std::size_t first, std::size_t n, double* row) const;
  void compare_by_count(const Genome& genome, std::size_t first, std::size_t n, double* row) const;
  /// The normalisation of the kernel by place: 1 / sqrt(kernel(genome, genome)).
  double scale(const Genome& genome) const;
  /// How often each operator occurs in `genome`.
  std::vector<uint16_t> counts_in(const Genome& genome) const;

  bool swappable_;
  int blocks_;
  std::vector<int> first_count_;      // [slot]: first count of its operators; -1: an input slot
  int counts_ = 0;                    // number of counts; 0 if they are too many
  std::vector<double> powers_;        // rho^0, rho^1, ..., up to the number of slots
  std::vector<double> count_powers_;  // kappa^0, kappa^1, ...

  std::vector<Genome> genomes_;
  std::vector<Column> choices_;          // [slot]
  std::vector<Column> operator_counts_;  // [count]
  std::vector<double> scales_;           // of the genomes held
};

}  // namespace renas::search
