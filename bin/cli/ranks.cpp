#include "cli/ranks.h"

#include <cstdlib>

#include "cli/frame.h"

#ifdef RENAS_WITH_MPI
#include <sched.h>

#include <cstring>
#include <vector>

#include "renas/mpi_transport.h"
#endif

namespace renas::cli {

#ifdef RENAS_WITH_MPI

Ranks::Ranks(int& argc, char**& argv) {
  int provided = 0;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_SERIALIZED, &provided);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks_);

  // Ranks of this host that may run on the same set of cores share them.
  MPI_Comm host;
  MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &host);
  int neighbours = 1;
  MPI_Comm_size(host, &neighbours);
  cpu_set_t own;
  CPU_ZERO(&own);
  sched_getaffinity(0, sizeof own, &own);
  std::vector<cpu_set_t> all(neighbours);
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

int Ranks::worst(int code) const {
  int result = code;
  MPI_Allreduce(&code, &result, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
  return result;
}

void Ranks::abort(int code) const {
  MPI_Abort(MPI_COMM_WORLD, code);
  std::_Exit(code);
}

#else

Ranks::Ranks(int&, char**&) : threads_(available_cores()) {
  // Without MPI each of many processes would take itself for the only one.
  for (const char* variable : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"}) {
    const char* size = std::getenv(variable);
    if (size != nullptr && std::atoi(size) > 1) {
      say("renas was built without MPI and cannot run on several ranks\n");
      std::exit(kMistake);
    }
  }
}
int Ranks::worst(int code) const { return code; }
void Ranks::abort(int code) const { std::_Exit(code); }
Ranks::~Ranks() = default;
std::unique_ptr<Transport> Ranks::make_transport() const { return make_local_transport(); }

#endif

}  // namespace renas::cli
