#pragma once

#include <cstdint>

#include "renas/backend.h"

namespace renas {

/// Bytes of memory that this process has now; 0 where the system does not say.
int64_t resident_memory();

/// Bytes that the training of `graph` takes.
int64_t training_memory(const Backend& backend, const Graph& graph, int batch,
                        const Device& device);

}  // namespace renas
