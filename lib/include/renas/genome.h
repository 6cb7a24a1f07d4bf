#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "renas/random.h"
#include "renas/search_space.h"

namespace renas {

/// A genome is a point of a search space: for each slot, in order, the index of its choice.
using Genome = std::vector<int>;

/// The cell that the paper's authors published, taken from their released graph. Every program
/// knows it as `renasnet`.
inline constexpr const char* kRenasNet =
    "c-2:sep5x5+c-1:sep3x3,c-1:identity+c-1:sep3x3,c-2:sep3x3+c-2:avg3x3,"
    "c-1:sep5x5+c-2:sep3x3,1:identity+1:sep3x3";

/// One change of a mutation: slot `slot` of block `block` went from choice `from` to choice `to`.
/// The two may be equal.
struct Mutation {
  int block = 0;
  int slot = 0;  ///< an index into the whole genome
  int from = 0;
  int to = 0;
  bool operator==(const Mutation&) const = default;
};

/// Throws InvalidInput unless `genome` has a valid choice in every slot.
void check_genome(const SearchSpace& space, const Genome& genome);

/// Writes a genome in the notation of its space.
std::string to_string(const SearchSpace& space, const Genome& genome);

/// Reads a genome in the notation of its space. `renasnet` stands for kRenasNet in the paper's
/// space of 5 blocks. In a space of two cells a single cell stands for both. Throws InvalidInput,
/// which names the block and token at fault, what was expected and what was found.
Genome parse_genome(const SearchSpace& space, std::string_view text);

/// The canonical form: one representative for all genomes that give the same network. In the
/// paper's space the two halves of a block can be swapped, so the form sorts them by input, then
/// operator. In other notations every genome is its own canonical form.
Genome canonical(const SearchSpace& space, const Genome& genome);

/// Draws a genome: every slot uniform and independent.
Genome random_genome(const SearchSpace& space, Random& random);

/// The child that `mutations`, applied in order, make of `genome`.
Genome apply(const Genome& genome, const std::vector<Mutation>& mutations);

}  // namespace renas
