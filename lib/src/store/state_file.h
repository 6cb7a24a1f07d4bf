#pragma once

#include <string>

#include "renas/state.h"

namespace renas {

/// Writes a search state to a file of its own, whole or not at all. The format needs no HDF5.
/// Throws IoError.
void write_state(const std::string& path, const State& state);
/// Reads a search state. Throws IoError where the file cannot be read, is cut short or damaged.
State read_state(const std::string& path);

}  // namespace renas
