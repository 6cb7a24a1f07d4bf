#pragma once

#include <vector>

#include "renas/genome.h"
#include "renas/search_space.h"

namespace renas::search {

/// How a genome is laid out as a sequence for the controller's encoder: the begin steps (one for
/// each input of the cell, in their order, and at least two), then for each block its slots and one
/// "output" token (the paper's A). The paper's space with five blocks has 2 + 25 steps.
///
/// Embeddings: one table for each position in a block and kind of slot. Inputs are named by their
/// source, so that "c-1" or block 2 means the same to every block; operator slots that offer the
/// same list are of one kind.
class TokenLayout {
 public:
  explicit TokenLayout(const SearchSpace& space);

  int steps() const { return static_cast<int>(first_token_.size()); }
  int vocabulary() const { return vocabulary_; }
  int slot_step(int slot) const { return slot_step_[slot]; }

  /// The kinds of operator slots, numbered; each offers `kind_size` choices.
  int kinds() const { return static_cast<int>(kind_size_.size()); }
  int kind_size(int kind) const { return kind_size_[kind]; }
  /// Kind of an operator slot; -1 for an input slot.
  int kind(int slot) const { return kind_[slot]; }
  /// Number of sources an input slot can name: inputs of the cell, then blocks.
  int sources() const { return static_cast<int>(source_step_.size()); }
  /// The step whose hidden state stands for source `choice` of input slot `slot`.
  int source_step(int slot, int choice) const { return source_step_[value(slot, choice)]; }
  /// What choice `choice` of a slot means: a source, or an operator of its kind.
  int value(int slot, int choice) const { return values_[slot][choice]; }

  /// The token of `choice` at `slot`.
  int token(int slot, int choice) const {
    return first_token_[slot_step(slot)] + value(slot, choice);
  }
  int begin_token(int step) const { return first_token_[step]; }

  /// Writes the tokens of `genome` [steps].
  void encode(const Genome& genome, int* tokens) const;

 private:
  int vocabulary_ = 0;
  std::vector<int> first_token_;  // of each step
  std::vector<int> slot_step_;
  std::vector<int> kind_;
  std::vector<int> kind_size_;
  std::vector<int> source_step_;
  std::vector<std::vector<int>> values_;  // slot, choice
};

}  // namespace renas::search
