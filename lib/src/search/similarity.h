#pragma once

#include <vector>

#include "renas/genome.h"
#include "renas/search_space.h"

namespace renas::search {

/// How alike two genomes are: the product over their slots of 1 where they agree and `rho` where
/// they differ. Where a block's halves can be swapped without changing the network, both ways to
/// lay them on each other count. Scaled so that a genome is 1 like itself; a positive definite
/// kernel.
class Similarity {
 public:
  explicit Similarity(const SearchSpace& space);

  /// Sets rho, in (0, 1).
  void set(double rho);
  double rho() const { return rho_; }
  double operator()(const Genome& a, const Genome& b) const;

 private:
  double scale(const Genome& a) const;

  bool swappable_;
  int blocks_;
  double rho_ = 0;
  std::vector<double> powers_;  // rho^0, rho^1, ..., one for each number of differing slots
};

}  // namespace renas::search
