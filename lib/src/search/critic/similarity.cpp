#include "search/critic/similarity.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <utility>

namespace renas::search {

namespace {

/// Whether the halves of every block of a cell choose among the same things: swapping them then
/// gives another genome of the same network.
bool halves_can_be_swapped(const SearchSpace& space) {
  if (space.notation() != Notation::kCell) {
    return false;
  }
  return std::all_of(space.blocks().begin(), space.blocks().end(), [](const Block& block) {
    return block.slots[0].choices == block.slots[1].choices &&
           block.slots[2].choices == block.slots[3].choices;
  });
}

}  // namespace

Similarity::Similarity(const SearchSpace& space)
    : swappable_(halves_can_be_swapped(space)), blocks_(space.block_count()) {
  powers_.resize(space.slot_count() + 1);
  count_powers_.resize(2 * space.slot_count() + 1);
  std::map<std::pair<int, std::vector<std::string>>, int> groups;  // by cell and choices
  for (int b = 0; b < space.block_count(); ++b) {
    for (const Slot& slot : space.blocks()[b].slots) {
      first_count_.push_back(-1);
      if (slot.kind != Slot::Kind::kOperator) {
        continue;
      }
      const auto [group, is_new] = groups.try_emplace({space.cell_of(b), slot.choices}, counts_);
      if (is_new) {
        counts_ += static_cast<int>(slot.choices.size());
      }
      first_count_.back() = group->second;
    }
  }
  set(0.8, 0.9);
}

void Similarity::set(double rho, double kappa) {
  for (std::vector<double>* powers : {&powers_, &count_powers_}) {
    (*powers)[0] = 1;
    for (std::size_t i = 1; i < powers->size(); ++i) {
      (*powers)[i] = (powers == &powers_ ? rho : kappa) * (*powers)[i - 1];
    }
  }
}

double Similarity::operator()(const Genome& a, const Genome& b) const {
  return by_place(a, b) * count_powers_[count_difference(a, b)];
}

int Similarity::count_difference(const Genome& a, const Genome& b) const {
  constexpr int kMost = 256;
  if (counts_ > kMost) {
    return 0;
  }
  int more[kMost] = {};
  int difference = 0;
  // `more` holds count in a minus count in b. A step towards zero takes one off the sum of absolute
  // values, a step away from zero adds one.
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (first_count_[i] < 0 || a[i] == b[i]) {
      continue;
    }
    int& up = more[first_count_[i] + a[i]];
    difference += up >= 0 ? 1 : -1;
    ++up;
    int& down = more[first_count_[i] + b[i]];
    difference += down <= 0 ? 1 : -1;
    --down;
  }
  return difference;
}

double Similarity::by_place(const Genome& a, const Genome& b) const {
  if (!swappable_) {
    std::size_t differ = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
      differ += a[i] != b[i] ? 1 : 0;
    }
    return powers_[differ];
  }
  double product = 1;
  const int* x = a.data();
  const int* y = b.data();
  for (int k = 0; k < blocks_; ++k, x += 4, y += 4) {
    const int straight = (x[0] != y[0]) + (x[1] != y[1]) + (x[2] != y[2]) + (x[3] != y[3]);
    const int swapped = (x[0] != y[1]) + (x[1] != y[0]) + (x[2] != y[3]) + (x[3] != y[2]);
    product *= powers_[straight] + powers_[swapped];
  }
  return product * scale(a) * scale(b);
}

double Similarity::scale(const Genome& a) const {
  double product = 1;
  const int* x = a.data();
  for (int k = 0; k < blocks_; ++k, x += 4) {
    product *= 1 + powers_[2 * (x[0] != x[1]) + 2 * (x[2] != x[3])];
  }
  return 1 / std::sqrt(product);
}

}  // namespace renas::search
