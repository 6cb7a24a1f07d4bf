#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "renas/random.h"
#include "renas/search_space.h"

namespace renas {

/// A point of a search space: for each slot, in order, the index of its choice.
using Genome = std::vector<int>;

/// The cell the authors published (their released graph): known to every program as `renasnet`.
inline constexpr const char* kRenasNet =
    "c-2:sep5x5+c-1:sep3x3,c-1:identity+c-1:sep3x3,c-2:sep3x3+c-2:avg3x3,"
    "c-1:sep5x5+c-2:sep3x3,1:identity+1:sep3x3";

/// One decision of a mutation: in `block`, slot `slot` (an index into the whole genome) was set to
/// choice `to` from `from`. The two may be equal.
struct Mutation {
  int block = 0;
  int slot = 0;
  int from = 0;
  int to = 0;
  bool operator==(const Mutation&) const = default;
};

/// Throws InvalidInput unless `genome` has a valid choice in every slot.
void check_genome(const SearchSpace& space, const Genome& genome);

/// The text form of the space's notation.
std::string to_string(const SearchSpace& space, const Genome& genome);

/// Reads the text form. Throws InvalidInput with the block and token at fault, what was expected
/// and what was found. `renasnet` stands for kRenasNet where the space has 5 blocks.
Genome parse_genome(const SearchSpace& space, std::string_view text);

/// The representative of all genomes that give the same network by swapping the two halves of a
/// block: halves sorted by input, then operator. Other notations have no such symmetry.
Genome canonical(const SearchSpace& space, const Genome& genome);

/// Every slot uniform and independent.
Genome random_genome(const SearchSpace& space, Random& random);

/// `genome` with `mutations` applied in order.
Genome apply(const Genome& genome, const std::vector<Mutation>& mutations);

}  // namespace renas
