#pragma once

#include <vector_types.h>

#include <cstddef>
#include <cstdint>

/// What compiled kernels ask of the emulation: who they are, and how they meet other threads.
namespace emulation {

/// One CUDA thread, as its kernel sees itself.
struct Thread {
  uint3 index{};        ///< threadIdx
  uint3 block{};        ///< blockIdx
  dim3 block_size;      ///< blockDim
  dim3 grid_size;       ///< gridDim
  unsigned linear = 0;  ///< its number within the block, x fastest
  unsigned lane = 0;    ///< its number within the warp
};

/// The thread that runs now; null while no kernel does.
extern Thread* current_thread;

/// Ends the program: device code was called from the host.
[[noreturn]] void outside_of_kernel();

inline const Thread& thread() {
  if (current_thread == nullptr) outside_of_kernel();
  return *current_thread;
}

/// Waits for all threads of the block at one line of the source, and counts those with a condition.
unsigned sync_block(const char* file, int line, bool condition);
/// Waits for the lanes of `mask`, which then see what each wrote before.
void sync_warp(unsigned mask);
/// Orders what this thread did before it with what others do after theirs.
void fence();

/// What the lanes of a mask do together: called once, when all have come, with what each has given;
/// null for lanes outside of the mask.
using Collective = void (*)(void* const* lanes);
/// Gives `mine` to a collective of the lanes of `mask` and waits until it has run.
void meet_warp(unsigned mask, Collective collective, void* mine);

/// The bits that lane `from` gives; `from` must be in the mask.
std::uint64_t exchange_bits(unsigned mask, std::uint64_t bits, unsigned from);
/// Bit i is lane i's condition, for the lanes of the mask.
unsigned ballot(unsigned mask, bool condition);

/// The block's dynamic shared memory.
void* dynamic_shared();
/// The block's static shared memory of this key, the same for all its threads.
void* static_shared(const void* key, std::size_t bytes, std::size_t alignment);

}  // namespace emulation
