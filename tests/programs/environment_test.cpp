// What the system and a launcher say to a program: how many threads it may use, and whether others
// were started with it.

#include "cli/environment.h"

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <map>

#include "support/toy_search.h"

using namespace renas::cli;
using namespace renas::test;

namespace {

using Variables = std::map<std::string, std::string>;

/// An environment of eight cores with these variables, and a system's files under `root`.
Environment made_up(const Variables& variables, const std::string& root = "/nonexistent") {
  Environment environment;
  environment.variable = [variables](const char* name) {
    const auto at = variables.find(name);
    return at == variables.end() ? nullptr : at->second.c_str();
  };
  environment.root = root;
  environment.cores = 8;
  return environment;
}

void write(const std::string& file, const std::string& text) {
  std::filesystem::create_directories(std::filesystem::path(file).parent_path());
  std::ofstream(file) << text;
}

void decides(const Environment& environment, int count, const std::string& by) {
  const DefaultThreads threads = default_threads(thread_limits(environment));
  BOOST_TEST(threads.count == count, threads.decided_by);
  BOOST_TEST(threads.decided_by.find(by) != std::string::npos,
             threads.decided_by << " does not say " << by);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(environments)

BOOST_AUTO_TEST_CASE(the_least_of_cores_and_variables_is_the_number_of_threads) {
  decides(made_up({}), 8, "8 cores");
  decides(made_up({{"OMP_NUM_THREADS", "3"}}), 3, "OMP_NUM_THREADS=3");
  decides(made_up({{"OMP_NUM_THREADS", "4,2"}}), 4, "OMP_NUM_THREADS=4");
  decides(made_up({{"OMP_NUM_THREADS", "64"}}), 8, "8 cores");
  decides(made_up({{"SLURM_CPUS_PER_TASK", "2"}}), 2, "SLURM_CPUS_PER_TASK=2");
  decides(made_up({{"SLURM_CPUS_PER_TASK", "2"}, {"OMP_NUM_THREADS", "1"}}), 1, "OMP_NUM_THREADS");
  decides(made_up({{"SLURM_CPUS_PER_TASK", "2"}, {"OMP_NUM_THREADS", "4"}}), 2, "SLURM");
  for (const char* nonsense : {"", "0", "-3", "many", "99999999999999999999"}) {
    decides(made_up({{"OMP_NUM_THREADS", nonsense}, {"SLURM_CPUS_PER_TASK", nonsense}}), 8,
            "8 cores");
  }
}

BOOST_AUTO_TEST_CASE(quotas_of_control_groups_of_version_2) {
  const TemporaryFolder root;
  write(root / "proc/self/cgroup", "0::/jobs/mine\n");
  decides(made_up({}, root.path()), 8, "8 cores");  // nothing is mounted
  write(root / "sys/fs/cgroup/jobs/mine/cpu.max", "max 100000\n");
  decides(made_up({}, root.path()), 8, "8 cores");
  write(root / "sys/fs/cgroup/jobs/cpu.max", "250000 100000\n");
  decides(made_up({}, root.path()), 3, "a quota of 2.5 cores in");
  decides(made_up({}, root.path()), 3, "/sys/fs/cgroup/jobs/cpu.max");
  write(root / "sys/fs/cgroup/jobs/mine/cpu.max", "50000 100000\n");
  decides(made_up({}, root.path()), 1, "jobs/mine/cpu.max");
  decides(made_up({{"OMP_NUM_THREADS", "4"}}, root.path()), 1, "quota");
  write(root / "sys/fs/cgroup/jobs/mine/cpu.max", "not a number");
  decides(made_up({{"OMP_NUM_THREADS", "2"}}, root.path()), 2, "OMP_NUM_THREADS");
}

BOOST_AUTO_TEST_CASE(a_container_sees_its_quota_at_the_top_of_its_own_mount) {
  const TemporaryFolder root;
  write(root / "proc/self/cgroup", "0::/\n");
  write(root / "sys/fs/cgroup/cpu.max", "400000 100000\n");
  decides(made_up({}, root.path()), 4, "sys/fs/cgroup/cpu.max");
  write(root / "proc/self/cgroup", "0::/the/hosts/path\n");
  decides(made_up({}, root.path()), 4, "sys/fs/cgroup/cpu.max");
}

BOOST_AUTO_TEST_CASE(quotas_of_control_groups_of_version_1) {
  const TemporaryFolder root;
  write(root / "proc/self/cgroup",
        "5:memory:/slurm/job_7\n4:cpu,cpuacct:/slurm/job_7\n1:name=x:/\n");
  write(root / "sys/fs/cgroup/cpu,cpuacct/slurm/job_7/cpu.cfs_quota_us", "-1\n");
  write(root / "sys/fs/cgroup/cpu,cpuacct/slurm/job_7/cpu.cfs_period_us", "100000\n");
  decides(made_up({}, root.path()), 8, "8 cores");
  write(root / "sys/fs/cgroup/cpu,cpuacct/slurm/job_7/cpu.cfs_quota_us", "200000\n");
  decides(made_up({}, root.path()), 2, "job_7/cpu.cfs_quota_us");
  write(root / "proc/self/cgroup", "3:cpu:/docker/1\n0::/docker/1\n");
  write(root / "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "350000\n");
  write(root / "sys/fs/cgroup/cpu/cpu.cfs_period_us", "50000\n");
  decides(made_up({}, root.path()), 7, "cpu/cpu.cfs_quota_us");
  write(root / "sys/fs/cgroup/unified/docker/1/cpu.max", "100000 100000\n");
  decides(made_up({}, root.path()), 1, "unified/docker/1/cpu.max");
}

BOOST_AUTO_TEST_CASE(the_least_of_machine_and_control_groups_is_the_memory) {
  const TemporaryFolder root;
  BOOST_TEST(memory_limit(made_up({}, root.path())).bytes == 0);
  write(root / "proc/meminfo", "MemTotal:        2048 kB\nMemFree:          7 kB\n");
  BOOST_TEST(memory_limit(made_up({}, root.path())).bytes == 2048 * 1024);
  write(root / "proc/self/cgroup", "0::/jobs/mine\n");
  write(root / "sys/fs/cgroup/jobs/mine/memory.max", "max\n");
  BOOST_TEST(memory_limit(made_up({}, root.path())).bytes == 2048 * 1024);
  write(root / "sys/fs/cgroup/jobs/memory.max", "1000000\n");
  const MemoryLimit limit = memory_limit(made_up({}, root.path()));
  BOOST_TEST(limit.bytes == 1000000);
  BOOST_TEST(limit.source.ends_with("/sys/fs/cgroup/jobs/memory.max"));
  // Version 1 says that there is no limit by a number beyond all memory.
  write(root / "proc/self/cgroup", "5:memory:/slurm/job_7\n");
  write(root / "sys/fs/cgroup/memory/slurm/memory.limit_in_bytes", "9223372036854771712\n");
  BOOST_TEST(memory_limit(made_up({}, root.path())).bytes == 2048 * 1024);
  write(root / "sys/fs/cgroup/memory/slurm/job_7/memory.limit_in_bytes", "500000\n");
  BOOST_TEST(memory_limit(made_up({}, root.path())).bytes == 500000);
}

BOOST_AUTO_TEST_CASE(ranks_share_cores_and_quota_but_not_what_is_of_one_rank) {
  ThreadLimits limits;
  limits.cores = 8;
  const DefaultThreads shared = default_threads(limits, 3, 3);
  BOOST_TEST(shared.count == 2);
  BOOST_TEST(shared.decided_by == "8 cores to run on, shared by 3 ranks");
  BOOST_TEST(default_threads(limits, 20, 20).count == 1);
  limits.quota = 4;
  BOOST_TEST(default_threads(limits, 1, 2).count == 2);
  BOOST_TEST(default_threads(limits, 1, 16).count == 1);
  limits.slurm_cpus_per_task = 3;
  BOOST_TEST(default_threads(limits, 1, 1).count == 3);
  BOOST_TEST(default_threads(limits, 2, 1).count == 3);
}

BOOST_AUTO_TEST_CASE(launchers_say_how_many_they_have_started) {
  BOOST_TEST(!launch_of_many(made_up({})));
  BOOST_TEST(!launch_of_many(made_up({{"OMPI_COMM_WORLD_SIZE", "1"}})));
  const auto mpirun =
      launch_of_many(made_up({{"OMPI_COMM_WORLD_SIZE", "2"}, {"OMPI_COMM_WORLD_RANK", "1"}}));
  BOOST_TEST_REQUIRE(mpirun.has_value());
  BOOST_TEST(mpirun->variable == "OMPI_COMM_WORLD_SIZE=2");
  BOOST_TEST(!mpirun->first);
  const auto pmi = launch_of_many(made_up({{"PMI_SIZE", "4"}, {"PMI_RANK", "0"}}));
  BOOST_TEST_REQUIRE(pmi.has_value());
  BOOST_TEST(pmi->processes == 4);
  BOOST_TEST(pmi->first);
  BOOST_TEST(launch_of_many(made_up({{"SLURM_STEP_NUM_TASKS", "2"}})).has_value());
  // A script of sbatch runs once, however many tasks the job has.
  BOOST_TEST(!launch_of_many(
      made_up({{"SLURM_NTASKS", "16"}, {"SLURM_JOB_ID", "7"}, {"SLURM_PROCID", "0"}})));
  // OpenMPI's mpirun starts its daemons by srun, one a node.
  BOOST_TEST(
      !launch_of_many(made_up({{"OMPI_COMM_WORLD_SIZE", "1"}, {"SLURM_STEP_NUM_TASKS", "2"}})));
}

BOOST_AUTO_TEST_CASE(the_log_says_what_decided_the_threads) {
  const TemporaryFolder folder;
  write_toy_file(folder / "data.h5");
  std::string search = toy_search(folder, "run");
  search.replace(search.find("--threads 1"), 11, "--threads 0");
  const Ran ran = run_command("OMP_NUM_THREADS=1 " + search);
  BOOST_TEST(ran.code == 0, ran.output);
  std::ifstream log(renas::RunDirectory::open(folder / "run").log_file());
  const std::string text(std::istreambuf_iterator<char>(log), {});
  // Where there is one core to run on, that decides.
  const bool said = text.find("1 rank x 1 thread (OMP_NUM_THREADS=1)") != text.npos ||
                    text.find("1 rank x 1 thread (1 core to run on)") != text.npos;
  BOOST_TEST(said, text);
}

BOOST_AUTO_TEST_CASE(processes_that_do_not_find_each_other_stop_before_they_touch_anything) {
  const TemporaryFolder folder;
  write_toy_file(folder / "data.h5");
  // The variables of the launcher that is not this build's.
  std::string variables = "PMI_SIZE=2 PMI_RANK=";
#ifdef RENAS_MPIRUN
  if (run_command(RENAS_MPIRUN " --version").output.find("Open MPI") == std::string::npos) {
    variables = "OMPI_COMM_WORLD_SIZE=2 OMPI_COMM_WORLD_RANK=";
  }
#endif
  const Ran first = run_command("env " + variables + "0 " + toy_search(folder, "run"));
  BOOST_TEST(first.code == 2, first.output);
  BOOST_TEST(first.output.find("SIZE=2 in the environment") != std::string::npos, first.output);
  BOOST_TEST(first.output.find("name a new folder") == std::string::npos, first.output);
  const Ran second = run_command("env " + variables + "1 " + toy_search(folder, "run"));
  BOOST_TEST(second.code == 2, second.output);
  BOOST_TEST(second.output == "");  // one message is enough
  BOOST_TEST(!std::filesystem::exists(folder / "run"));
}

BOOST_AUTO_TEST_SUITE_END()
