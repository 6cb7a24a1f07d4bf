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
  constexpr int kMost = 256;
  if (counts_ > kMost) counts_ = 0;
  choices_.resize(space.slot_count());
  operator_counts_.resize(counts_);
  set(0.8, 0.9);
}

void Similarity::set(double rho, double kappa) {
  for (std::vector<double>* powers : {&powers_, &count_powers_}) {
    (*powers)[0] = 1;
    for (std::size_t i = 1; i < powers->size(); ++i) {
      (*powers)[i] = (powers == &powers_ ? rho : kappa) * (*powers)[i - 1];
    }
  }
  for (std::size_t i = 0; i < genomes_.size(); ++i) {
    scales_[i] = scale(genomes_[i]);
  }
}

void Similarity::add(Genome genome) {
  for (std::size_t slot = 0; slot < choices_.size(); ++slot) {
    choices_[slot].push_back(static_cast<uint16_t>(genome[slot]));
  }
  const std::vector<uint16_t> counts = counts_in(genome);
  for (int c = 0; c < counts_; ++c) {
    operator_counts_[c].push_back(counts[c]);
  }
  scales_.push_back(scale(genome));
  genomes_.push_back(std::move(genome));
}

void Similarity::drop(const std::vector<bool>& dropped) {
  const auto compact = [&](auto& values) {
    std::size_t to = 0;
    for (std::size_t i = 0; i < dropped.size(); ++i) {
      if (!dropped[i]) std::swap(values[to++], values[i]);
    }
    values.resize(to);
  };
  for (Column& column : choices_) compact(column);
  for (Column& column : operator_counts_) compact(column);
  compact(scales_);
  compact(genomes_);
}

void Similarity::compare(const Genome& genome, std::size_t first, std::size_t last,
                         double* row) const {
  const std::size_t n = last - first;
  compare_by_place(genome, first, n, row);
  if (counts_ > 0) {
    compare_by_count(genome, first, n, row);
  }
}

void Similarity::compare_by_place(const Genome& genome, std::size_t first, std::size_t n,
                                  double* row) const {
  // How many slots differ, of all or of a block; and in a block whose halves are swapped.
  Column straight(n);
  Column swapped(n);
  const auto add_differences = [&](int choice, std::size_t slot, Column& differ) {
    const auto wanted = static_cast<uint16_t>(choice);
    const uint16_t* held = choices_[slot].data() + first;
    for (std::size_t i = 0; i < n; ++i) {
      differ[i] = static_cast<uint16_t>(differ[i] + (held[i] != wanted ? 1 : 0));
    }
  };
  if (!swappable_) {
    for (std::size_t slot = 0; slot < choices_.size(); ++slot) {
      add_differences(genome[slot], slot, straight);
    }
    for (std::size_t i = 0; i < n; ++i) row[i] = powers_[straight[i]];
    return;
  }
  std::fill_n(row, n, 1.0);
  for (std::size_t slot = 0; slot < choices_.size(); slot += 4) {
    std::fill(straight.begin(), straight.end(), uint16_t{0});
    std::fill(swapped.begin(), swapped.end(), uint16_t{0});
    for (std::size_t k = 0; k < 4; ++k) {
      add_differences(genome[slot + k], slot + k, straight);
      add_differences(genome[slot + k], slot + (k ^ 1), swapped);
    }
    for (std::size_t i = 0; i < n; ++i) {
      row[i] *= powers_[straight[i]] + powers_[swapped[i]];
    }
  }
  const double own = scale(genome);
  for (std::size_t i = 0; i < n; ++i) {
    row[i] *= own;
    row[i] *= scales_[first + i];
  }
}

void Similarity::compare_by_count(const Genome& genome, std::size_t first, std::size_t n,
                                  double* row) const {
  const std::vector<uint16_t> counts = counts_in(genome);
  Column difference(n);
  for (int c = 0; c < counts_; ++c) {
    const uint16_t own = counts[c];
    const uint16_t* held = operator_counts_[c].data() + first;
    for (std::size_t i = 0; i < n; ++i) {
      const int apart = held[i] > own ? held[i] - own : own - held[i];
      difference[i] = static_cast<uint16_t>(difference[i] + apart);
    }
  }
  for (std::size_t i = 0; i < n; ++i) row[i] *= count_powers_[difference[i]];
}

std::vector<uint16_t> Similarity::counts_in(const Genome& genome) const {
  std::vector<uint16_t> counts(counts_);
  if (counts_ > 0) {
    for (std::size_t slot = 0; slot < genome.size(); ++slot) {
      if (first_count_[slot] >= 0) ++counts[first_count_[slot] + genome[slot]];
    }
  }
  return counts;
}

double Similarity::scale(const Genome& genome) const {
  if (!swappable_) return 1;
  double product = 1;
  const int* x = genome.data();
  for (int k = 0; k < blocks_; ++k, x += 4) {
    product *= 1 + powers_[2 * (x[0] != x[1]) + 2 * (x[2] != x[3])];
  }
  return 1 / std::sqrt(product);
}

}  // namespace renas::search
