#include "ranks.h"

#include "program.h"

#ifdef RENAS_WITH_MPI
#include <sched.h>

#include <cstring>
#include <vector>

#include "renas/mpi_transport.h"
#endif

namespace renas::program {

#ifdef RENAS_WITH_MPI

Ranks::Ranks(int& argc, char**& argv) {
  int provided = 0;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_SERIALIZED, &provided);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks_);

  // Ranks of this host whose sets of cores are the same share them.
  MPI_Comm host;
  MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &host);
  int neighbours = 1;
  MPI_Comm_size(host, &neighbours);
  cpu_set_t own;
  CPU_ZERO(&own);
  sched_getaffinity(0, sizeof own, &own);
  std::vector<cpu_set_t> all(static_cast<std::size_t>(neighbours));
  MPI_Allgather(&own, sizeof own, MPI_BYTE, all.data(), sizeof own, MPI_BYTE, host);
  MPI_Comm_free(&host);
  int sharing = 0;
  for (const cpu_set_t& other : all) sharing += std::memcmp(&own, &other, sizeof own) == 0;
  threads_ = std::max(1, available_cores() / std::max(1, sharing));
}

Ranks::~Ranks() { MPI_Finalize(); }

std::unique_ptr<Transport> Ranks::make_transport() const {
  return ranks_ == 1 ? make_local_transport() : make_mpi_transport(MPI_COMM_WORLD);
}

#else

Ranks::Ranks(int&, char**&) : threads_(available_cores()) {}
Ranks::~Ranks() = default;
std::unique_ptr<Transport> Ranks::make_transport() const { return make_local_transport(); }

#endif

}  // namespace renas::program
