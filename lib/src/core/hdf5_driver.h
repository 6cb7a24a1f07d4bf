#pragma once

// Included by core/hdf5.cpp only; compiled where RENAS_WITH_HDF5 is on.

#include <hdf5.h>

#include <string>

namespace renas::h5 {

/// Makes files opened with the access list `properties` go through core/system_calls.h, by a
/// virtual file driver of our own.
///
/// HDF5's own driver reports a failed write to a library that does not survive it: a chunk that
/// could not be written when its data set was closed is forgotten and reads as zeros, and a file
/// that cannot be closed crashes the process when it ends. This driver therefore never fails a
/// write. It keeps the reason of the first failure in `failure`, which must outlive the file, and
/// what was to be written from then on in memory, so that HDF5 can end in order. Whoever writes
/// looks at `failure` after each call that may write and once more when the file is closed.
///
/// A file of up to 64 MiB that is only read is read whole when it is opened: HDF5 does not survive
/// every failed read either. Failed reads of larger ones are reported to HDF5 with the system's
/// reason.
///
/// Returns the driver's identifier, which the caller gives back with H5FDunregister after the file
/// is closed: HDF5 drops a file's own reference to its driver before it calls the driver to close
/// the file, and would call through freed memory if that reference was the last.
hid_t use_driver(hid_t properties, std::string& failure);

/// The `failure` of the open file that `location` belongs to; empty where there is none, or where
/// the file was opened without use_driver.
std::string driver_failure(hid_t location);

}  // namespace renas::h5
