#pragma once

#include "renas/architecture.h"
#include "renas/graph.h"
#include "renas/network.h"

namespace renas {

/// Stacks the cells of `architecture` by the rules of its family. `options` have been checked.
Graph stack_cells(const Architecture& architecture, const NetworkOptions& options);

}  // namespace renas
