#pragma once

#include <string>

#include "renas/run_directory.h"

namespace renas {

/// Writes a snapshot as the HDF5 file `path`, whole or not at all. The file that had this name is
/// replaced, or where `previous` is not empty called so from then on. Throws IoError.
void save_snapshot(const std::string& path, const Snapshot& snapshot,
                   const std::string& previous = "");
/// Loads a snapshot. Throws IoError where the file cannot be read, is damaged, or is not a
/// snapshot.
Snapshot load_snapshot(const std::string& path);

}  // namespace renas
