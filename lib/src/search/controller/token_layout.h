#pragma once

#include <string>
#include <vector>

#include "renas/genome.h"
#include "renas/search_space.h"

namespace renas::search {

/// The layout of a genome as a sequence of tokens for the controller's LSTM. The sequence begins
/// with one step for each input of the cell, in their order, and at least two such begin steps.
/// Then follow, for each block, its slots and one "output" token (the paper's A). The paper's space
/// with five blocks has 2 + 25 steps. Of two cells, the second follows the first in the same way,
/// begin steps included: 54 steps.
///
/// There is one table of tokens for each position in a block and kind of slot. An input is named by
/// its source, so that "c-1" or block 2 means the same to every block. Operator slots that offer
/// the same list of choices are of one kind. A second cell has begin tokens, sources and tables of
/// its own, since what is good in one cell need not be good in the other; its kinds are shared.
class TokenLayout {
 public:
  explicit TokenLayout(const SearchSpace& space);

  int steps() const { return static_cast<int>(first_token_.size()); }
  int vocabulary() const { return vocabulary_; }
  /// The step of the sequence at which a slot stands.
  int slot_step(int slot) const { return slot_step_[slot]; }

  /// The number of kinds of operator slots; a slot of a kind offers kind_size(kind) choices.
  int kinds() const { return static_cast<int>(kind_size_.size()); }
  int kind_size(int kind) const { return kind_size_[kind]; }
  /// The kind of an operator slot, -1 for an input slot.
  int kind(int slot) const { return kind_[slot]; }
  /// The number of sources that input slots choose from: inputs of the cell, then blocks, of each
  /// cell in turn.
  int sources() const { return static_cast<int>(source_step_.size()); }
  /// The step whose hidden state represents the source that `choice` of input slot `slot` names.
  int source_step(int slot, int choice) const { return source_step_[value(slot, choice)]; }
  /// The source that a choice of an input slot names, or the operator of a choice of an operator
  /// slot, by number.
  int value(int slot, int choice) const { return values_[slot][choice]; }

  /// The token that stands for `choice` at `slot`.
  int token(int slot, int choice) const {
    return first_token_[slot_step(slot)] + value(slot, choice);
  }
  /// The token of a begin step.
  int begin_token(int step) const { return first_token_[step]; }

  /// Writes the tokens of `genome` [steps].
  void encode(const Genome& genome, int* tokens) const;

 private:
  /// Appends the steps of a cell. `kinds` are the lists of choices met so far.
  void add_cell(const SearchSpace& space, int cell, std::vector<std::vector<std::string>>& kinds);

  int vocabulary_ = 0;
  std::vector<int> first_token_;  // of each step: the token of value 0, were there one
  std::vector<int> slot_step_;
  std::vector<int> kind_;
  std::vector<int> kind_size_;
  std::vector<int> source_step_;
  std::vector<std::vector<int>> values_;  // [slot][choice]
};

}  // namespace renas::search
