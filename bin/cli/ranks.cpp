#include "cli/ranks.h"

#include <fmt/format.h>

#include <cstdlib>

#include "cli/frame.h"

#ifdef RENAS_WITH_MPI
#include <sched.h>

#include <cstring>
#include <vector>

#include "renas/mpi_transport.h"
#endif

namespace renas::cli {

namespace {

/// Ends a process that finds no other although its launcher has started several.
[[noreturn]] void refuse(const Launch& launch, const std::string& why) {
  if (launch.first) {  // one message, not one from each process
    say(fmt::format("renas: {} in the environment, but this process finds no other: {}\n",
                    launch.variable, why));
  }
  std::exit(kMistake);
}

}  // namespace

#ifdef RENAS_WITH_MPI

Ranks::Ranks(int& argc, char**& argv) {
  int provided = 0;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_SERIALIZED, &provided);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks_);
  if (const std::optional<Launch> launch = launch_of_many(); ranks_ == 1 && launch) {
    char library[MPI_MAX_LIBRARY_VERSION_STRING] = "";
    int length = 0;
    MPI_Get_library_version(library, &length);
    const std::string version(library, std::strcspn(library, "\n\t,"));
    MPI_Finalize();
    refuse(*launch, fmt::format("it was started by the launcher of another MPI than the one it was "
                                "built with ({}). Use that one's mpirun; under Slurm also srun "
                                "--mpi=pmix, or --mpi=pmi2 for MPICH. One rank needs no launcher",
                                version));
  }

  // Ranks of this host that may run on the same set of cores share them; ranks of one control
  // group share its quota.
  struct Place {
    cpu_set_t cores;
    uint64_t quota_group;
  };
  const ThreadLimits limits = thread_limits();
  Place own;
  std::memset(&own, 0, sizeof own);
  sched_getaffinity(0, sizeof own.cores, &own.cores);
  own.quota_group = limits.quota_group;
  MPI_Comm host;
  MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &host);
  int neighbours = 1;
  MPI_Comm_size(host, &neighbours);
  std::vector<Place> all(static_cast<std::size_t>(neighbours));
  MPI_Allgather(&own, sizeof own, MPI_BYTE, all.data(), sizeof own, MPI_BYTE, host);
  MPI_Comm_free(&host);
  int on_cores = 0;
  int on_quota = 0;
  for (const Place& other : all) {
    on_cores += std::memcmp(&own.cores, &other.cores, sizeof own.cores) == 0;
    on_quota += own.quota_group == other.quota_group;
  }
  threads_ = default_threads(limits, on_cores, on_quota);
  memory_ = memory_limit().bytes / neighbours;
}

Ranks::~Ranks() { MPI_Finalize(); }

std::unique_ptr<Transport> Ranks::make_transport() const {
  return ranks_ == 1 ? make_local_transport() : make_mpi_transport(MPI_COMM_WORLD);
}

std::unique_ptr<Communicator> Ranks::make_communicator() const {
  return ranks_ == 1 ? nullptr : make_mpi_communicator(MPI_COMM_WORLD);
}

int Ranks::choose_device(const std::string& backend, int ranks_per_gpu) const {
  return renas::choose_device(MPI_COMM_WORLD, backend, ranks_per_gpu);
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

Ranks::Ranks(int&, char**&) : threads_(default_threads()), memory_(memory_limit().bytes) {
  if (const std::optional<Launch> launch = launch_of_many()) {
    refuse(*launch, "renas was built without MPI and cannot run on several ranks");
  }
}
std::unique_ptr<Communicator> Ranks::make_communicator() const { return nullptr; }
int Ranks::choose_device(const std::string&, int) const { return -1; }
int Ranks::worst(int code) const { return code; }
void Ranks::abort(int code) const { std::_Exit(code); }
Ranks::~Ranks() = default;
std::unique_ptr<Transport> Ranks::make_transport() const { return make_local_transport(); }

#endif

}  // namespace renas::cli
