#pragma once

// Tiles of a matrix product: what a block of 128 threads adds up. The left side has 64 rows, the
// right one 32 columns, and both lie in shared memory, 16 steps of the inner sum at a time.
//
//   put_left, put_right   put one number; put_steps eight of a row of the left side, at eight steps
//   multiply              adds the product of both sides
//   to_shared             puts the results there instead, [64][32], where tile_results8 finds them

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "backend/cudnn/kernels/launch.h"
#include "backend/cudnn/kernels/mma.h"
#include "backend/cudnn/kernels/vectors.h"

namespace renas::cudnn {

constexpr int kRows = 64;
constexpr int kColumns = 32;
constexpr int kDepth = 16;
constexpr int kTileThreads = 128;

/// Eight results of a row.
__device__ inline Float8 tile_results8(int row, int column) {
  return load8(shared_memory<float>(), row * kColumns + column);
}

/// In float32: each thread adds 4 rows times 4 columns.
struct Tile {
  static constexpr int kThreadRows = 4;
  static constexpr int kThreadColumns = kColumns / 8;
  static constexpr std::size_t kBytes = std::size_t{kDepth} * (kRows + kColumns) * sizeof(float);
  float sums[kThreadRows][kThreadColumns] = {};

  __device__ static float* left() { return shared_memory<float>(); }    // [16][64]
  __device__ static float* right() { return left() + kDepth * kRows; }  // [16][32]
  __device__ static int first_row() { return static_cast<int>(threadIdx.x) / 8 * kThreadRows; }
  __device__ static int first_column() {
    return static_cast<int>(threadIdx.x) % 8 * kThreadColumns;
  }
  __device__ static void put_left(int k, int row, float value) { left()[k * kRows + row] = value; }
  __device__ static void put_right(int k, int column, float value) {
    right()[k * kColumns + column] = value;
  }
  __device__ static void put_steps(int k, int row, const Float8& v) {
#pragma unroll
    for (int i = 0; i < kBlock; ++i) put_left(k + i, row, v.v[i]);
  }

  __device__ void multiply() {
    __syncthreads();
    const float* l = left() + first_row();
    const float* r = right() + first_column();
    for (int k = 0; k < kDepth; ++k) {
#pragma unroll
      for (int i = 0; i < kThreadRows; ++i) {
#pragma unroll
        for (int j = 0; j < kThreadColumns; ++j) {
          sums[i][j] += l[k * kRows + i] * r[k * kColumns + j];
        }
      }
    }
    __syncthreads();
  }

  __device__ void to_shared() const {
    for (int i = 0; i < kThreadRows; ++i) {
      for (int j = 0; j < kThreadColumns; ++j) {
        shared_memory<float>()[(first_row() + i) * kColumns + first_column() + j] = sums[i][j];
      }
    }
    __syncthreads();
  }
};

/// On tensor cores, which multiply bfloat16 and add float32: each of the four warps adds 16 rows
/// times 32 columns. Numbers are rounded to bfloat16 when they are put.
struct TensorTile {
  /// Of a row or column in shared memory, in numbers: eight rows begin in different banks.
  static constexpr int kPitch = kDepth + 8;
  static constexpr std::size_t kBytes = std::size_t{kRows + kColumns} * kPitch * sizeof(uint16_t);
  float sums[kColumns / 8][4] = {};

  __device__ static uint16_t* left() { return shared_memory<uint16_t>(); }  // [64][kPitch]
  __device__ static uint16_t* right() { return left() + kRows * kPitch; }   // [32][kPitch]
  __device__ static void put_left(int k, int row, float value) {
    left()[row * kPitch + k] = static_cast<uint16_t>(to_bf16_bits(value));
  }
  __device__ static void put_right(int k, int column, float value) {
    right()[column * kPitch + k] = static_cast<uint16_t>(to_bf16_bits(value));
  }
  __device__ static void put_steps(int k, int row, const Float8& v) {
    store8(MapData(left(), true), static_cast<std::size_t>(row * kPitch + k), v);
  }

  /// Steps k and k + 1 of a row or column.
  __device__ static uint32_t pair(const uint16_t* side, int line, int k) {
    uint32_t both;
    memcpy(&both, side + line * kPitch + k, sizeof both);
    return both;
  }
  __device__ static int warp_row() { return static_cast<int>(threadIdx.x) / 32 * 16; }

  __device__ void multiply() {
    __syncthreads();
    const int group = static_cast<int>(threadIdx.x) % 32 / 4;
    const int k = static_cast<int>(threadIdx.x) % 4 * 2;
    const int row = warp_row() + group;
    const uint32_t a[4] = {pair(left(), row, k), pair(left(), row + 8, k), pair(left(), row, k + 8),
                           pair(left(), row + 8, k + 8)};
#pragma unroll
    for (int j = 0; j < kColumns / 8; ++j) {
      const uint32_t b[2] = {pair(right(), j * 8 + group, k), pair(right(), j * 8 + group, k + 8)};
      mma_m16n8k16(sums[j], a, b);
    }
    __syncthreads();
  }

  __device__ void to_shared() const {
    const int row = warp_row() + static_cast<int>(threadIdx.x) % 32 / 4;
    const int column = static_cast<int>(threadIdx.x) % 4 * 2;
#pragma unroll
    for (int j = 0; j < kColumns / 8; ++j) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int at = (row + i / 2 * 8) * kColumns + j * 8 + column + i % 2;
        shared_memory<float>()[at] = sums[j][i];
      }
    }
    __syncthreads();
  }
};

/// The shared memory that a tile needs: for both sides, and after them for the results.
template <class T>
constexpr std::size_t kTileBytes = T::kBytes > std::size_t{kRows} * kColumns * sizeof(float)
                                       ? T::kBytes
                                       : std::size_t{kRows} * kColumns * sizeof(float);

}  // namespace renas::cudnn
