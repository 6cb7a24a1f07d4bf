#include "search/similarity.h"

#include <cmath>

namespace renas::search {

Similarity::Similarity(const SearchSpace& space)
    : swappable_(space.notation() == Notation::kCell), blocks_(space.block_count()) {
  powers_.resize(static_cast<std::size_t>(space.slot_count()) + 1);
  set(0.8);
}

void Similarity::set(double rho) {
  rho_ = rho;
  powers_[0] = 1;
  for (std::size_t i = 1; i < powers_.size(); ++i) powers_[i] = rho * powers_[i - 1];
}

double Similarity::operator()(const Genome& a, const Genome& b) const {
  if (!swappable_) {
    std::size_t differ = 0;
    for (std::size_t i = 0; i < a.size(); ++i) differ += a[i] != b[i] ? 1 : 0;
    return powers_[differ];
  }
  double product = 1;
  const int* x = a.data();
  const int* y = b.data();
  for (int k = 0; k < blocks_; ++k, x += 4, y += 4) {
    const int straight = (x[0] != y[0]) + (x[1] != y[1]) + (x[2] != y[2]) + (x[3] != y[3]);
    const int swapped = (x[0] != y[1]) + (x[1] != y[0]) + (x[2] != y[3]) + (x[3] != y[2]);
    product *=
        powers_[static_cast<std::size_t>(straight)] + powers_[static_cast<std::size_t>(swapped)];
  }
  return product * scale(a) * scale(b);
}

double Similarity::scale(const Genome& a) const {
  double product = 1;
  const int* x = a.data();
  for (int k = 0; k < blocks_; ++k, x += 4)
    product *= 1 + powers_[static_cast<std::size_t>(2 * (x[0] != x[1]) + 2 * (x[2] != x[3]))];
  return 1 / std::sqrt(product);
}

}  // namespace renas::search
