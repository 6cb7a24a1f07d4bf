#pragma once

#include <driver_types.h>

#include <cstddef>
#include <cstdint>
#include <vector>

/// What tests tell the emulated machine, and ask it. Environment variables say the same before a
/// program begins; both are listed in the README.
namespace emulation {

/// Faults to come, and cards and libraries of other kinds. Numbers count from 1; 0 is never.
struct Faults {
  std::size_t out_of_memory_at = 0;  ///< the allocation of device memory that fails, once
  std::size_t error_at = 0;  ///< the kernel, in order of execution, from which on `error` stays
  cudaError_t error = cudaErrorIllegalAddress;
  cudaError_t no_device = cudaSuccess;  ///< what cudaGetDeviceCount and all that follows answers
  std::vector<int> capabilities = {};   ///< of the first cards, 75 for 7.5; others have 90
  std::size_t cudnn = 0;                ///< the version that cuDNN says it has; 0: its header's
};

/// RENAS_EMULATED_SEED, or 1.
std::uint64_t seed_of_environment();

/// A machine as new: `devices` devices of `memory` bytes each, in orders from `seed`, no errors.
/// Fails unless all memory, streams, events and graphs are gone.
void restart(int devices = 2, std::size_t memory = std::size_t{4} << 30,
             std::uint64_t seed = seed_of_environment());
/// Counting starts anew.
void plan(const Faults& faults);
/// What was planned last.
Faults planned();

struct Counts {
  std::size_t device_blocks = 0;  ///< that are not freed
  std::size_t pinned_blocks = 0;
  std::size_t streams = 0;
  std::size_t events = 0;
  std::size_t graphs = 0;       ///< graphs and instances of graphs
  std::size_t allocations = 0;  ///< of device memory, since the restart
  std::size_t kernels = 0;      ///< executed, since the restart
  std::size_t late_loads = 0;   ///< kernels whose first launch had to load them, since the restart
  std::size_t blocking_streams = 0;  ///< made since the restart: they wait for the default stream
  std::size_t switches = 0;          ///< of stacks, since the program began
};
Counts counts();

/// Sums over ranks that this process took part in, by the emulated NCCL, since the program began.
std::size_t nccl_sums();

}  // namespace emulation
