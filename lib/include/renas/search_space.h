#pragma once

#include <string>
#include <vector>

namespace renas {

/// One variable place of a genome: what kind it is and what it may hold.
struct Slot {
  enum class Kind { kInput, kOperator };
  Kind kind = Kind::kOperator;
  std::string name;                  ///< "i1", "o2", ...
  std::vector<std::string> choices;  ///< at least one; a token is an index into them
  bool operator==(const Slot&) const = default;
};

/// A block (the paper's) or node: slots in the order of their tokens. The choices of an input slot
/// are the cell's inputs in order, then earlier blocks "1", "2", ... .
struct Block {
  std::vector<Slot> slots;
  bool operator==(const Block&) const = default;
};

/// How genomes of a space are written.
enum class Notation {
  kCell,         ///< the paper's space: `i1:o1+i2:o2,i1:o1+i2:o2,...`
  kNasBench201,  ///< `|a~0|+|b~0|c~1|+|d~0|e~1|f~2|`
  kList,         ///< any space: choices joined by `+` within a block, blocks joined by `,`
};

/// What can be searched, as a value: a list of blocks, each a list of slots. The controller, the
/// evolution and the strategies work from this description alone.
class SearchSpace {
 public:
  /// The paper's space (section 3): `blocks` blocks of slots i1, i2, o1, o2. Inputs of block b are
  /// c-2, c-1 and blocks 1..b-1. `operators` is any non-empty subset of renas_operators().
  static SearchSpace renas(int blocks = 5);
  static SearchSpace renas(int blocks, const std::vector<std::string>& operators);
  /// NAS-Bench-201's cell: node n has n operator slots of 5 choices and no input slot.
  static SearchSpace nas_bench_201();
  /// Reads a user's own space from text; see lib/src/genome/SPACES.md for the form.
  /// Throws InvalidInput with the line at fault.
  static SearchSpace parse(const std::string& text);

  /// Throws InvalidInput where a slot is empty, a choice is repeated or malformed, or an input slot
  /// names its own block or a later one.
  SearchSpace(std::string name, Notation notation, std::vector<std::string> cell_inputs,
              std::vector<Block> blocks);

  const std::string& name() const { return name_; }
  Notation notation() const { return notation_; }
  /// Names of what enters the cell ("c-2", "c-1"); the first choices of every input slot.
  const std::vector<std::string>& cell_inputs() const { return cell_inputs_; }
  const std::vector<Block>& blocks() const { return blocks_; }

  int block_count() const { return static_cast<int>(blocks_.size()); }
  /// Number of slots over all blocks: the length of a genome.
  int slot_count() const { return static_cast<int>(slots_.size()); }
  /// Slot `i` of the genome, counted over all blocks.
  const Slot& slot(int i) const { return slots_[i]; }
  /// Genome index of block `b`'s first slot; first_slot(block_count()) is slot_count().
  int first_slot(int b) const { return first_slot_[b]; }
  /// The number of genomes, as a floating-point number since it overflows integers.
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

/// `sep3x3 sep5x5 sep7x7 avg3x3 max3x3 identity`: operator ids 0..5 (paper, section 3.1).
const std::vector<std::string>& renas_operators();

}  // namespace renas
