#pragma once

#include <string>

#include "renas/run_directory.h"

namespace renas {

/// Writes a snapshot as an HDF5 file, whole or not at all. Throws IoError.
void save_snapshot(const std::string& path, const Snapshot& snapshot);
/// Loads a snapshot. Throws IoError where the file cannot be read, is damaged, or is not a
/// snapshot.
Snapshot load_snapshot(const std::string& path);

}  // namespace renas
