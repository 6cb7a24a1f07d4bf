#pragma once

#include "renas/genome.h"
#include "renas/graph.h"
#include "renas/network.h"
#include "renas/search_space.h"

namespace renas {

/// What count(build_network(space, genome, options)) gives, from closed formulas in place of a
/// network: in a microsecond, where a search checks limits at every draw. Throws InvalidInput as
/// build_network() does where genome or notation is wrong; options are taken as they are.
Counts count_network(const SearchSpace& space, const Genome& genome, const NetworkOptions& options);

}  // namespace renas
