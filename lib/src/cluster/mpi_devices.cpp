#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "cluster/mpi_check.h"
#include "renas/backend.h"
#include "renas/error.h"
#include "renas/mpi_transport.h"

namespace renas {

namespace {

/// What a rank tells the other ranks of its machine: its number, and the card that it would take.
struct Choice {
  int rank = 0;
  std::array<char, 64> uuid = {};  // empty: none
};

}  // namespace

int choose_device(MPI_Comm communicator, const std::string& backend, int ranks_per_gpu) {
  const std::vector<DeviceInfo> devices = list_devices(backend);
  Choice own;
  check_mpi(MPI_Comm_rank(communicator, &own.rank), "MPI_Comm_rank");
  MPI_Comm machine = MPI_COMM_NULL;
  check_mpi(MPI_Comm_split_type(communicator, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &machine),
            "MPI_Comm_split_type");
  int local_rank = 0;
  int neighbours = 1;
  check_mpi(MPI_Comm_rank(machine, &local_rank), "MPI_Comm_rank");
  check_mpi(MPI_Comm_size(machine, &neighbours), "MPI_Comm_size");
  const DeviceInfo* device = nullptr;
  if (!devices.empty()) {
    device = &devices[static_cast<std::size_t>(local_rank) % devices.size()];
    std::copy_n(device->uuid.begin(), std::min(device->uuid.size(), own.uuid.size() - 1),
                own.uuid.begin());
  }
  std::vector<Choice> all(static_cast<std::size_t>(neighbours));
  check_mpi(MPI_Allgather(&own, sizeof own, MPI_BYTE, all.data(), sizeof own, MPI_BYTE, machine),
            "MPI_Allgather");
  MPI_Comm_free(&machine);
  std::vector<int> sharing;
  for (const Choice& other : all) {
    if (device != nullptr && other.uuid == own.uuid) sharing.push_back(other.rank);
  }
  int too_many = static_cast<int>(sharing.size()) > ranks_per_gpu ? 1 : 0;
  const bool here = too_many != 0;
  check_mpi(MPI_Allreduce(MPI_IN_PLACE, &too_many, 1, MPI_INT, MPI_MAX, communicator),
            "MPI_Allreduce");
  if (here) {
    throw InvalidInput(fmt::format(
        "ranks {} would share GPU {} ({}), where ranks_per_gpu allows {}: start fewer ranks on a "
        "machine, give each a GPU of its own, or allow more",
        fmt::join(sharing, ", "), device->name, device->uuid, ranks_per_gpu));
  }
  if (too_many != 0) {
    throw InvalidInput("on another machine more ranks would share a GPU than ranks_per_gpu allows");
  }
  return device == nullptr ? -1 : device->index;
}

}  // namespace renas
