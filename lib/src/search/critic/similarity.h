#pragma once

#include <vector>

#include "renas/genome.h"
#include "renas/search_space.h"

namespace renas::search {

/// How alike two genomes are, as a product of two:
///
///   by place   the product over their slots of 1 where they agree and `rho` where they differ.
///              Where a block's halves can be swapped without changing the network, both ways to
///              lay them on each other count; scaled so that a genome is 1 like itself.
///   by count   `kappa` to the power of the sum over operators of the difference in how often each
///              occurs: what an operator is worth, it is worth to some degree anywhere. Slots share
///              counts if they choose from the same operators. (1 in spaces of more than 256
///              different operators.)
///
/// Both are positive definite kernels, and so is their product.
class Similarity {
 public:
  explicit Similarity(const SearchSpace& space);

  /// Sets rho, in (0, 1), and kappa, in (0, 1].
  void set(double rho, double kappa);
  double operator()(const Genome& a, const Genome& b) const;

 private:
  double by_place(const Genome& a, const Genome& b) const;
  double scale(const Genome& a) const;
  int count_difference(const Genome& a, const Genome& b) const;

  bool swappable_;
  int blocks_;
  std::vector<int> first_count_;  // of each slot: its operators' first count; -1: an input
  int counts_ = 0;
  std::vector<double> powers_;        // rho^0, rho^1, ..., one for each number of differing slots
  std::vector<double> count_powers_;  // kappa^0, kappa^1, ...
};

}  // namespace renas::search
