#include "cli/environment.h"

#include <fmt/format.h>
#include <sched.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string_view>
#include <vector>

namespace renas::cli {

namespace fs = std::filesystem;

namespace {

/// The whole number that the value of a variable begins with; 0 where there is none above it.
int number_of(const Environment& environment, const char* name) {
  const char* value = environment.variable(name);
  if (value == nullptr) return 0;
  const std::string_view text = value;
  int number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return std::max(0, number);
}

int affinity() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

/// The quota that a control group has for itself, in cores; 0 where it has none. cpu.max holds
/// quota and period; version 1 has a file for each, and -1 for no quota.
double quota_in(const fs::path& file) {
  std::ifstream in(file);
  double quota = 0;
  double period = 0;
  if (!(in >> quota)) return 0;  // "max", or there is no such file
  if (file.filename() == "cpu.max") {
    in >> period;
  } else {
    std::ifstream(file.parent_path() / "cpu.cfs_period_us") >> period;
  }
  return quota > 0 && period > 0 ? quota / period : 0;
}

/// The limit in a file of bytes; 0 where there is none ("max", or a number beyond all memory).
int64_t bytes_in(const fs::path& file) {
  std::ifstream in(file);
  int64_t bytes = 0;
  if (!(in >> bytes) || bytes >= int64_t{1} << 60) return 0;
  return bytes;
}

/// A controller of control groups, and the files of versions 2 and 1 that hold its limit.
struct Controller {
  const char* name;
  const char* file;
  const char* old_file;
};
constexpr Controller kCpu{"cpu", "cpu.max", "cpu.cfs_quota_us"};
constexpr Controller kMemory{"memory", "memory.max", "memory.limit_in_bytes"};

/// A control group of the process: where its hierarchy may be mounted, its path there, and the file
/// that holds a limit.
struct ControlGroup {
  std::vector<fs::path> mounts;
  fs::path path;
  const char* file;
};

/// The control group in a line of /proc/self/cgroup, if it is one of that controller: "0::/path"
/// (version 2) or "4:cpu,cpuacct:/path" (version 1).
std::optional<ControlGroup> control_group(const std::string& line, const Controller& controller) {
  const std::size_t first = line.find(':');
  const std::size_t second = line.find(':', first + 1);
  if (first == line.npos || second == line.npos) return {};
  const std::string controllers = line.substr(first + 1, second - first - 1);
  const fs::path path = fs::path(line.substr(second + 1)).relative_path();
  if (controllers.empty()) return ControlGroup{{"", "unified"}, path, controller.file};
  std::istringstream names(controllers);
  for (std::string name; std::getline(names, name, ',');) {
    if (name == controller.name) {
      return ControlGroup{{controllers, controller.name}, path, controller.old_file};
    }
  }
  return {};
}

/// Calls `take` with the controller's files of the process's control group and of those around it,
/// whether they exist or not.
template <class Take>
void for_each_limit(const Environment& environment, const Controller& controller,
                    const Take& take) {
  const fs::path root = environment.root;
  std::ifstream lines(root / "proc/self/cgroup");
  for (std::string line; std::getline(lines, line);) {
    const std::optional<ControlGroup> group = control_group(line, controller);
    if (!group) continue;
    for (const fs::path& mount : group->mounts) {
      // In a container the path may be the host's, of which only the mount's own folder is there.
      for (fs::path path = group->path;; path = path.parent_path()) {
        take((root / "sys/fs/cgroup" / mount / path / group->file).lexically_normal());
        if (path.empty()) break;
      }
    }
  }
}

/// Puts the least quota into `limits`.
void read_quota(const Environment& environment, ThreadLimits& limits) {
  for_each_limit(environment, kCpu, [&](const fs::path& file) {
    const double quota = quota_in(file);
    if (quota <= 0 || (limits.quota > 0 && quota >= limits.quota)) return;
    limits.quota = quota;
    limits.quota_file = file;
    struct stat status {};
    if (::stat(file.parent_path().c_str(), &status) == 0) limits.quota_group = status.st_ino;
  });
}

/// The machine's memory; 0 where the system does not say.
int64_t total_memory(const fs::path& file) {
  std::ifstream in(file);
  std::string name;
  int64_t kilobytes = 0;
  while (in >> name >> kilobytes) {
    if (name == "MemTotal:") return 1024 * kilobytes;
    std::getline(in, name);
  }
  return 0;
}

std::string shared_by(int ranks) {
  return ranks > 1 ? fmt::format(", shared by {} ranks", ranks) : "";
}

}  // namespace

ThreadLimits thread_limits(const Environment& environment) {
  ThreadLimits limits;
  limits.cores = environment.cores > 0 ? environment.cores : affinity();
  limits.omp_num_threads = number_of(environment, "OMP_NUM_THREADS");
  limits.slurm_cpus_per_task = number_of(environment, "SLURM_CPUS_PER_TASK");
  read_quota(environment, limits);
  return limits;
}

MemoryLimit memory_limit(const Environment& environment) {
  const fs::path file = fs::path(environment.root) / "proc/meminfo";
  MemoryLimit limit{total_memory(file), file.string()};
  for_each_limit(environment, kMemory, [&](const fs::path& group) {
    const int64_t bytes = bytes_in(group);
    if (bytes > 0 && (limit.bytes == 0 || bytes < limit.bytes)) limit = {bytes, group.string()};
  });
  return limit;
}

DefaultThreads default_threads(const ThreadLimits& limits, int ranks_on_cores, int ranks_on_quota) {
  DefaultThreads least{std::max(1, limits.cores / std::max(1, ranks_on_cores)),
                       fmt::format("{} core{} to run on{}", limits.cores,
                                   limits.cores == 1 ? "" : "s", shared_by(ranks_on_cores))};
  const auto limit = [&](int count, const std::string& by) {
    if (count < least.count) least = {count, by};
  };
  if (limits.quota > 0) {
    const double share = std::ceil(limits.quota / std::max(1, ranks_on_quota));
    limit(static_cast<int>(std::min(share, 1e6)),
          fmt::format("a quota of {:.4g} cores in {}{}", limits.quota, limits.quota_file,
                      shared_by(ranks_on_quota)));
  }
  if (limits.slurm_cpus_per_task > 0) {
    limit(limits.slurm_cpus_per_task,
          fmt::format("SLURM_CPUS_PER_TASK={}", limits.slurm_cpus_per_task));
  }
  if (limits.omp_num_threads > 0) {
    limit(limits.omp_num_threads, fmt::format("OMP_NUM_THREADS={}", limits.omp_num_threads));
  }
  return least;
}

std::optional<Launch> launch_of_many(const Environment& environment) {
  struct Launcher {
    const char* size;
    const char* rank;
  };
  // A launcher within a step of srun knows better than srun how many it has started.
  for (const Launcher& launcher :
       {Launcher{"OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"}, Launcher{"PMI_SIZE", "PMI_RANK"},
        Launcher{"SLURM_STEP_NUM_TASKS", "SLURM_PROCID"}}) {
    const int processes = number_of(environment, launcher.size);
    if (processes == 0) continue;
    if (processes == 1) return {};
    return Launch{fmt::format("{}={}", launcher.size, processes), processes,
                  number_of(environment, launcher.rank) == 0};
  }
  return {};
}

}  // namespace renas::cli
