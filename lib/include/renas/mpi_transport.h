#pragma once

#include <mpi.h>

#include <memory>

#include "renas/transport.h"

namespace renas {

/// Over the ranks of `communicator`, of which it makes a duplicate (collective; so is its end).
/// The caller has called MPI_Init_thread with MPI_THREAD_SERIALIZED or more, and calls
/// MPI_Finalize after the transport's end. On each rank one thread at a time calls MPI.
/// Throws Unsupported where MPI was initialised with less.
std::unique_ptr<Transport> make_mpi_transport(MPI_Comm communicator);

}  // namespace renas
