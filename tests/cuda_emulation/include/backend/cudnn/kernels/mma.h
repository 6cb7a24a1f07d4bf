#pragma once

// The emulation's twin of lib/src/backend/cudnn/kernels/mma.h, which it hides.

#include <bit>
#include <cstdint>

#include "cuda_emulation/kernel.h"

namespace renas::cudnn {

namespace emulated_mma {

struct Registers {
  float* d;
  const std::uint32_t* a;
  const std::uint32_t* b;
};

// The last lane to come reads and writes what others call registers, which no other lane can, so
// that ThreadSanitizer is not to look.
#define EMULATION_REGISTERS __attribute__((no_sanitize("thread")))

/// Bfloat16 number i of a lane's packed pairs, the lower half of a register first.
EMULATION_REGISTERS inline float element(const std::uint32_t* registers, int i) {
  return std::bit_cast<float>((registers[i / 2] >> (i % 2 * 16) & 0xffffU) << 16);
}

/// The whole warp's product: gathers both matrices from the lanes' registers and adds to all of d.
/// The layout is that of the PTX manual, "Matrix fragments for mma.m16n8k16".
EMULATION_REGISTERS inline void multiply(void* const* lanes) {
  float a[16][16];
  float b[16][8];
  for (int lane = 0; lane < 32; ++lane) {
    const auto& of = *static_cast<const Registers*>(lanes[lane]);
    const int group = lane / 4;
    const int place = lane % 4;
    for (int i = 0; i < 8; ++i) {
      const int row = group + (i / 2 % 2 == 1 ? 8 : 0);
      const int column = 2 * place + i % 2 + (i >= 4 ? 8 : 0);
      a[row][column] = element(of.a, i);
    }
    for (int i = 0; i < 4; ++i) b[2 * place + i % 2 + (i >= 2 ? 8 : 0)][group] = element(of.b, i);
  }
  float product[16][8] = {};
  for (int row = 0; row < 16; ++row) {
    for (int k = 0; k < 16; ++k) {
      for (int column = 0; column < 8; ++column) product[row][column] += a[row][k] * b[k][column];
    }
  }
  for (int lane = 0; lane < 32; ++lane) {
    const auto& of = *static_cast<const Registers*>(lanes[lane]);
    for (int i = 0; i < 4; ++i)
      of.d[i] += product[lane / 4 + (i >= 2 ? 8 : 0)][2 * (lane % 4) + i % 2];
  }
}

#undef EMULATION_REGISTERS

}  // namespace emulated_mma

/// See the device's header; the lanes of a warp must all come.
inline void mma_m16n8k16(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
  emulated_mma::Registers mine{d, a, b};
  ::emulation::meet_warp(0xffffffffU, emulated_mma::multiply, &mine);
}

}  // namespace renas::cudnn
