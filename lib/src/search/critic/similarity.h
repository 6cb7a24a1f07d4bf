#pragma once

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
class Similarity {
 public:
  explicit Similarity(const SearchSpace& space);

  /// Sets rho, in (0, 1), and kappa, in (0, 1].
  void set(double rho, double kappa);
  double operator()(const Genome& a, const Genome& b) const;

 private:
  /// The kernel by place.
  double by_place(const Genome& a, const Genome& b) const;
  /// The normalisation of the kernel by place: 1 / sqrt(kernel(a, a)).
  double scale(const Genome& a) const;
  /// The exponent d of the kernel by count.
  int count_difference(const Genome& a, const Genome& b) const;

  bool swappable_;
  int blocks_;
  std::vector<int> first_count_;      // [slot]: first count of its operators; -1: an input slot
  int counts_ = 0;                    // number of counts
  std::vector<double> powers_;        // rho^0, rho^1, ..., up to the number of slots
  std::vector<double> count_powers_;  // kappa^0, kappa^1, ...
};

}  // namespace renas::search
