#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "renas/genome.h"
#include "renas/search_space.h"

namespace renas {

/// A block of a cell in names: it adds its two inputs, each after an operator.
struct CellBlock {
  std::array<std::string, 2> inputs;  ///< c-2, c-1, or the number of an earlier block, from 1
  std::array<std::string, 2> operators;
  bool operator==(const CellBlock&) const = default;
};

/// A cell in names.
struct Cell {
  std::vector<CellBlock> blocks;
  /// What is concatenated, in this order: c-2, c-1, or numbers of blocks. Empty: the blocks that no
  /// other block reads.
  std::vector<std::string> outputs;
  bool operator==(const Cell&) const = default;
};

/// The cells of a network and the family whose rules stack them (see CellRules in
/// lib/src/graph/cell_rules.h).
///
/// Its text form is FAMILY/NORMAL or FAMILY/NORMAL/REDUCTION, each cell BLOCKS or BLOCKS=OUTPUTS:
/// blocks as in the paper's notation, outputs joined by +. An example:
/// "nasnet/c-2:sep3x3+c-1:identity,1:avg3x3+c-2:identity=c-2+2/c-1:max3x3+c-2:sep5x5=1".
struct Architecture {
  std::string family = "renas";
  Cell normal;
  Cell reduction;  ///< equal to `normal` where there is one cell for both
};

/// The cells of `genome`, a point of a space in the paper's notation, under the paper's rules.
/// Throws InvalidInput where the genome or its notation is another.
Architecture architecture_of(const SearchSpace& space, const Genome& genome);

/// Reads the text form, or a cell in the paper's notation, which stands for renas/CELL. Throws
/// InvalidInput with the place at fault, what was expected and what was found.
Architecture parse_architecture(std::string_view text);

/// Whether `text` is in the text form of an architecture rather than the paper's notation.
bool names_family(std::string_view text);

/// The operators that cells of an Architecture may have: renas_operators(), dil3x3 and dil5x5
/// (once: ReLU, depthwise with holes, pointwise, batch norm), max2x2, conv1x1 (ReLU, convolution,
/// batch norm), bottleneck3x3 and bottleneck1x7_7x1 (through a quarter of the filters).
const std::vector<std::string>& cell_operators();

}  // namespace renas
