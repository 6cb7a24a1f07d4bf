#pragma once

#include <cstdint>
#include <cstdlib>
#include <functional>
#include <optional>
#include <string>

namespace renas::cli {

/// What the system and a launcher say to a process. Tests make up another one.
struct Environment {
  /// The value of a variable, nullptr where it is not set.
  std::function<const char*(const char*)> variable = [](const char* name) {
    return std::getenv(name);
  };
  std::string root = "/";  ///< the folder that has proc/ and sys/
  int cores = 0;           ///< cores that the process may run on; 0: ask the system
};

/// What limits the threads of a process. 0 stands for no limit.
struct ThreadLimits {
  int cores = 1;                ///< that the process may run on: its affinity
  double quota = 0;             ///< cores' worth of time that its control groups grant
  std::string quota_file;       ///< says so
  uint64_t quota_group = 0;     ///< identifies the control group; processes in it share the quota
  int omp_num_threads = 0;      ///< OMP_NUM_THREADS, its first number
  int slurm_cpus_per_task = 0;  ///< SLURM_CPUS_PER_TASK
};

/// Reads them: the affinity, cpu.max (cgroup v2) or cpu.cfs_quota_us (v1) of the process's control
/// group and of those around it, and the variables. What cannot be read or makes no sense is no
/// limit.
ThreadLimits thread_limits(const Environment& environment = {});

/// The memory that the process and the others of its control group may use together.
struct MemoryLimit {
  int64_t bytes = 0;   ///< 0: not known
  std::string source;  ///< the file that says so
};
/// The least of the machine's memory and of what the process's control group and those around it
/// grant (memory.max, or memory.limit_in_bytes of version 1).
MemoryLimit memory_limit(const Environment& environment = {});

/// The number of threads where none is given, and what decided it, as words for a log.
struct DefaultThreads {
  int count = 1;
  std::string decided_by;
};

/// The least that `limits` allow, 1 or more. Cores and quota are divided by the number of ranks
/// that share them; a part of a core counts as one. The variables are of one rank already.
DefaultThreads default_threads(const ThreadLimits& limits = thread_limits(), int ranks_on_cores = 1,
                               int ranks_on_quota = 1);

/// What a launcher of several processes has told this one.
struct Launch {
  std::string variable;  ///< as NAME=2
  int processes = 0;
  bool first = true;  ///< whether this process is the launcher's first, as far as it says
};

/// The launcher's word that it started several processes of this program: OpenMPI's mpirun, one
/// that speaks PMI (MPICH, Intel MPI), or srun. Nothing under a launcher of one, and in a Slurm
/// script, which srun has not started.
std::optional<Launch> launch_of_many(const Environment& environment = {});

}  // namespace renas::cli
