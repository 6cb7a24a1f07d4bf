#pragma once

#include <string>
#include <vector>

namespace renas {

/// A slot is one variable of a genome: its kind and the choices it may take.
struct Slot {
  enum class Kind { kInput, kOperator };
  Kind kind = Kind::kOperator;
  std::string name;                  ///< "i1", "o2", ...
  std::vector<std::string> choices;  ///< at least one; a genome holds an index into them
  bool operator==(const Slot&) const = default;
};

/// A block of a cell (in NAS-Bench-201, a node): slots in the order of the genome. The choices of
/// an input slot are inputs of the cell, then earlier blocks "1", "2", ...
struct Block {
  std::vector<Slot> slots;
  bool operator==(const Block&) const = default;
};

/// The notation in which genomes of a space are written.
enum class Notation {
  kCell,         ///< the paper's space: `i1:o1+i2:o2,i1:o1+i2:o2,...`
  kNasBench201,  ///< `|a~0|+|b~0|c~1|+|d~0|e~1|f~2|`
  kList,         ///< any space: choices joined by `+` within a block, blocks joined by `,`
};

/// A search space as a value: a list of blocks, each a list of slots. Controller, evolution and all
/// other strategies work from this description alone.
class SearchSpace {
 public:
  /// The paper's space (section 3): `blocks` blocks with the slots i1, i2, o1, o2. Block b reads
  /// c-2, c-1 and blocks 1..b-1. `operators` is any non-empty subset of renas_operators().
  static SearchSpace renas(int blocks = 5);
  static SearchSpace renas(int blocks, const std::vector<std::string>& operators);
  /// The cell of NAS-Bench-201: node n has n operator slots of 5 choices and no input slot.
  static SearchSpace nas_bench_201();
  /// Reads a user's own space from text in the form of lib/src/genome/SPACES.md. With
  /// Notation::kCell it is a part of the paper's space, whose genomes become networks.
  /// Throws InvalidInput with the line at fault.
  static SearchSpace parse(const std::string& text, Notation notation = Notation::kList);

  /// Makes a space from its parts. Throws InvalidInput if there is no block or an empty one, if a
  /// slot has no choice, if a choice is repeated or malformed, if an input slot names its own block
  /// or a later one, or if a block in the notation kCell has other slots than two inputs and two
  /// operators.
  SearchSpace(std::string name, Notation notation, std::vector<std::string> cell_inputs,
              std::vector<Block> blocks);

  const std::string& name() const { return name_; }
  Notation notation() const { return notation_; }
  /// The names of the cell's inputs ("c-2", "c-1").
  const std::vector<std::string>& cell_inputs() const { return cell_inputs_; }
  const std::vector<Block>& blocks() const { return blocks_; }

  int block_count() const { return static_cast<int>(blocks_.size()); }
  /// The number of slots over all blocks, which is the length of a genome.
  int slot_count() const { return static_cast<int>(slots_.size()); }
  /// Slot `i` of the genome, counted over all blocks.
  const Slot& slot(int i) const { return slots_[i]; }
  /// The genome index of block b's first slot; first_slot(block_count()) is slot_count().
  int first_slot(int b) const { return first_slot_[b]; }
  /// The space as text that parse() reads back, given the same notation.
  std::string to_text() const;
  /// The number of genomes in the space. It is a floating-point number because it overflows
  /// integers.
  double size() const;

  bool operator==(const SearchSpace&) const = default;

 private:
  std::string name_;
  Notation notation_;
  std::vector<std::string> cell_inputs_;
  std::vector<Block> blocks_;
  std::vector<Slot> slots_;
  std::vector<int> first_slot_;
};

/// The paper's operators (section 3.1), in the order of their ids 0..5: separable convolutions
/// `sep3x3 sep5x5 sep7x7`, average pool `avg3x3`, max pool `max3x3`, and `identity`.
const std::vector<std::string>& renas_operators();

}  // namespace renas
