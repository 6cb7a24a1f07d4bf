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
  kCell,  ///< the paper's space: `i1:o1+i2:o2,i1:o1+i2:o2,...`; of two cells: `renas/CELL/CELL`
  kNasBench201,  ///< `|a~0|+|b~0|c~1|+|d~0|e~1|f~2|`
  kList,         ///< any space: choices joined by `+` within a block, blocks joined by `,`
};

/// A search space as a value: a list of blocks, each a list of slots. Controller, evolution and all
/// other strategies work from this description alone.
///
/// The blocks are those of one cell, or of two: a normal and a reduction cell. Then the blocks of
/// the reduction cell follow those of the normal one, and their inputs name blocks of their own
/// cell.
class SearchSpace {
 public:
  /// The paper's space (section 3): `blocks` blocks with the slots i1, i2, o1, o2. Block b reads
  /// c-2, c-1 and blocks 1..b-1. `operators` is any non-empty subset of renas_operators().
  static SearchSpace renas(int blocks = 5);
  static SearchSpace renas(int blocks, const std::vector<std::string>& operators);
  /// A normal and a reduction cell of their own (NASNet's space): the points of `normal` and of
  /// `reduction`, each a space of one cell in the notation kCell. Throws InvalidInput otherwise.
  static SearchSpace pair(const SearchSpace& normal, const SearchSpace& reduction);
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
  /// 2: a normal and a reduction cell; 1: one cell for both.
  int cell_count() const { return static_cast<int>(first_block_.size()) - 1; }
  /// The first block of cell c; first_block(cell_count()) is block_count().
  int first_block(int c) const { return first_block_[c]; }
  /// The cell of block b.
  int cell_of(int b) const { return b < first_block(1) ? 0 : 1; }
  /// The number of block b in its cell, from 1, as inputs name it.
  int number_of(int b) const { return b - first_block(cell_of(b)) + 1; }
  /// What stands before "block 3" in a message: nothing where there is one cell, else the cell's
  /// name and a blank.
  std::string cell_prefix(int b) const;

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
  std::vector<int> first_block_;
};

/// The paper's operators (section 3.1), in the order of their ids 0..5: separable convolutions
/// `sep3x3 sep5x5 sep7x7`, average pool `avg3x3`, max pool `max3x3`, and `identity`.
const std::vector<std::string>& renas_operators();

}  // namespace renas
