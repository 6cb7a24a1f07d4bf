#pragma once

#include <memory>

#include "renas/backend.h"

namespace renas::cpu {

/// The backend that trains on the CPU: it compiles a whole graph into fused groups, which run on
/// vector kernels of our own. oneDNN multiplies the tiles of wide layers.
std::unique_ptr<Backend> make_cpu();

}  // namespace renas::cpu
