#pragma once

#include <string>

#include "core/files.h"
#include "core/hdf5.h"

namespace renas {

/// Writes an HDF5 file of the store, whole or not at all. `fill` gets the open file. All data sets
/// are read back before the file takes the name `path`. What had that name is replaced, or where
/// `previous` is not empty, called so from then on. Throws IoError.
template <class Fill>
void write_hdf5(const std::string& path, const std::string& format, int version, const Fill& fill,
                const std::string& previous = "") {
  const h5::Guard guard;
  PendingFile pending(path);
  h5::File file = h5::create_file(pending.partial());
  h5::write_attribute(file, "format", format);
  h5::write_attribute<int32_t>(file, "format_version", version);
  fill(static_cast<hid_t>(file));
  h5::close_file(std::move(file));
  h5::verify_file(pending.partial());
  pending.commit(previous);
}

/// Opens an HDF5 file of the store. Throws IoError where it is of another format or version.
h5::File open_hdf5(const std::string& path, const std::string& format, int version);

}  // namespace renas
