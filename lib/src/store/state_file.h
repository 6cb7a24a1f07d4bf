#pragma once

#include <string>

#include "renas/state.h"

namespace renas {

/// Writes a state to a file of its own, for users without HDF5: whole or not at all.
/// Throws IoError.
void write_state(const std::string& path, const State& state);
/// Throws IoError where the file cannot be read, is cut short or damaged.
State read_state(const std::string& path);

}  // namespace renas
