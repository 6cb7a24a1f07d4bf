#pragma once

#include <optional>
#include <string>

#include "renas/graph.h"
#include "renas/network.h"

namespace renas {

/// The network of that name that is not made of cells; none: there is none of that name. Throws
/// InvalidInput where the options ask for what only cells have.
std::optional<Graph> build_hand_made(const std::string& name, const NetworkOptions& options);

}  // namespace renas
