#pragma once

#include <vector_types.h>

#include <cstddef>
#include <cstdint>

#include "cuda_emulation/launch.h"
#include "random.h"

/// The emulated multiprocessors: run a grid of CUDA threads on the calling thread of the host.
namespace emulation {

/// Blocks run one after the other in a shuffled order. Within a block, a thread runs until it ends
/// or waits, and those that may go on do so in a shuffled order. `branch` is a number that differs
/// for grids which nothing orders.
void run_grid(const KernelCall& call, const void* function, dim3 grid, dim3 block,
              std::size_t shared_bytes, std::size_t branch, Random& random);

struct GridCounts {
  std::size_t grids = 0;
  std::size_t threads = 0;
  std::size_t switches = 0;  ///< of stacks: none more than one a block where no thread waits
};
const GridCounts& grid_counts();

}  // namespace emulation
