#pragma once

#include <cstdint>

#include "backend/cudnn/kernels/launch.h"

/// Small kernels for the tests of the emulation.
namespace renas::test {

/// out[i] = value
__global__ void fill(float* out, int size, float value);
/// out[i] = in[i] + 1
__global__ void add_one(const float* in, float* out, int size);
/// out[block] = the sum of the block's part of in, through dynamic shared memory; blocks of a power
/// of two
__global__ void block_sums(const float* in, float* out);
/// The same through static shared memory; blocks of 64.
__global__ void block_sums_in_static_memory(const float* in, float* out);
/// out[i] = NaN-ness of each word of fresh shared memory, which the block then overwrites; blocks
/// of 32
__global__ void find_stale_shared_memory(int* out);
/// out[warp] = the sum of the warp's lanes by shuffles
__global__ void warp_sums(const float* in, float* out);
/// Every way to shuffle, by one warp: out [5][32]
__global__ void all_shuffles(int* out);
/// The block that comes last adds up what all have written, in order: out[0]
__global__ void last_block_sums(const float* in, float* partial, unsigned* arrived, float* out);
/// d [16, 8] += a [16, 16] b [16, 8] of bfloat16, by one warp
__global__ void multiply(const std::uint16_t* a, const std::uint16_t* b, float* d);
/// counts[i] += 1 by each thread of the grid, for i in 0, 1, 2 by three ways
__global__ void count(int* counts);
/// out[0] = how many threads of the block have an odd number; out[1]: any, out[2]: all
__global__ void vote(int* out);

}  // namespace renas::test
