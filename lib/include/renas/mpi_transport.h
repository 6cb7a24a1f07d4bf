#pragma once

// mpi.h is that of the MPI that the library was built with: compile with its mpicxx, or link
// MPI::MPI_CXX of CMake's FindMPI.
#include <mpi.h>

#include <memory>
#include <string>

#include "renas/communicator.h"
#include "renas/transport.h"

namespace renas {

/// Over the ranks of `communicator`, of which it makes a duplicate (collective; so is its end).
/// The caller has called MPI_Init_thread with MPI_THREAD_SERIALIZED or more, and calls
/// MPI_Finalize after the transport's end. On each rank one thread at a time calls MPI.
/// Throws Unsupported where MPI was initialised with less.
std::unique_ptr<Transport> make_mpi_transport(MPI_Comm communicator);

/// For a data-parallel training over the ranks of `communicator`, of which it makes a duplicate
/// (collective; so is its end). The ranks' sums are added in an order that MPI chooses by their
/// number and size alone. A rank that is lost is answered by the error handler of `communicator`:
/// that of MPI itself ends all ranks; where it returns, the sum throws Error. Throws Error where
/// MPI fails.
std::unique_ptr<Communicator> make_mpi_communicator(MPI_Comm communicator);

/// Chooses a GPU for each rank (SearchRunHooks::device_index): the ranks of a machine take those
/// that they see in turn. Returns -1 where the backend uses none (see list_devices()). Collective.
/// Throws InvalidInput, on all ranks, where more than `ranks_per_gpu` ranks would share a card; the
/// message on that machine names the ranks and the card. Throws Error where MPI fails.
int choose_device(MPI_Comm communicator, const std::string& backend, int ranks_per_gpu = 1);

}  // namespace renas
