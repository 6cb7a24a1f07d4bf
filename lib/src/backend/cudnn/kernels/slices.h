#pragma once

// Sums over the pixels of a batch, per channel, in a fixed order.
//
// A block takes one slice of the pixels. Its threads lie over channel blocks and lanes: thread t
// has channel block t % blocks, and of the slice's pixels every lanes-th from number t / blocks on.
// The lanes' sums are added in order through shared memory.

#include "backend/cudnn/kernels/args.h"
#include "backend/cudnn/kernels/vectors.h"

namespace renas::cudnn {

constexpr int kSumThreads = 256;  // of a block at most

struct Double8 {
  double v[kBlock];
};

/// The shared memory that add_lanes() needs for `threads` threads.
constexpr std::size_t kSumBytes = kSumThreads * sizeof(Float8);
constexpr std::size_t kDoubleSumBytes = kSumThreads * sizeof(Double8);

/// Channel blocks that one block of threads handles, and lanes of pixels.
struct SumShape {
  int blocks;
  int lanes;
};
RENAS_HOST_DEVICE inline SumShape sum_shape(int channels) {
  const int all = channels / kBlock;
  const int blocks = all < kSumThreads ? all : kSumThreads;
  return {blocks, kSumThreads / blocks};
}

/// The grid of kernels in which a block sums doubles over a slice: blockIdx.x is the slice,
/// blockIdx.y the chunk of channel blocks.
inline Grid sum_grid(const Map& map, int slices) {
  const SumShape shape = sum_shape(map.channels);
  const int chunks = (map.channels / kBlock + shape.blocks - 1) / shape.blocks;
  return {dim3(static_cast<unsigned>(slices), static_cast<unsigned>(chunks)), dim3(kSumThreads),
          kDoubleSumBytes};
}

/// Pixels number `first` to before `last`, counted over the images of the batch.
struct PixelSlice {
  std::size_t first, last;
};
__device__ inline PixelSlice slice_of(const Map& map, int images, int slice, int slices) {
  const std::size_t pixels = static_cast<std::size_t>(images) * map.height * map.width;
  return {pixels * slice / slices, pixels * (slice + 1) / slices};
}

/// Adds what a batch norm's statistics are taken from, x - centre and its square.
__device__ inline void add_statistics(const Float8& x, const Float8& centre, Double8& sum,
                                      Double8& square) {
#pragma unroll
  for (int k = 0; k < kBlock; ++k) {
    const double d = static_cast<double>(x.v[k]) - centre.v[k];
    sum.v[k] += d;
    square.v[k] += d * d;
  }
}

/// Adds up `value` over the lanes and stores the sums at to[channel block * 8 ...]. All threads of
/// the block call it.
template <class Eight, class T>
__device__ inline void add_lanes(const Eight& value, const SumShape& shape, int blocks_here,
                                 T* to) {
  Eight* shared = shared_memory<Eight>();
  __syncthreads();  // a call before has read
  shared[threadIdx.x] = value;
  __syncthreads();
  const int numbers = blocks_here * kBlock;
  for (int i = threadIdx.x; i < numbers; i += blockDim.x) {
    T sum = 0;
    for (int lane = 0; lane < shape.lanes; ++lane) {
      sum += shared[lane * shape.blocks + i / kBlock].v[i % kBlock];
    }
    to[i] = sum;
  }
}

}  // namespace renas::cudnn
