#pragma once

#include <memory>

#include "renas/backend.h"

namespace renas::onednn {

/// Training on the CPU: whole graphs compiled into fused groups, vector kernels of our own where
/// the libraries have none, oneDNN for the rest.
std::unique_ptr<Backend> make_onednn();

}  // namespace renas::onednn
