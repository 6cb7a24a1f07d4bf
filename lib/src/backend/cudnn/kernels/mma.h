#pragma once

// The tensor cores' product. The emulation of CUDA (tests/cuda_emulation) has a twin of this file,
// which comes first on its include path: include it by its full path, and change both.

#include <cstdint>

namespace renas::cudnn {

/// d += a b on a warp's tensor cores, for a [16, 16] and b [16, 8] of bfloat16 and d [16, 8] of
/// float32. All 32 lanes must come. Each register of a and b holds two numbers that are neighbours
/// along the inner dimension, the first in the lower half. With g = lane / 4 and p = 2 (lane % 4),
/// a lane holds
///
///   a[0] row g,     columns p, p + 1      a[2] row g,     columns p + 8, p + 9
///   a[1] row g + 8, columns p, p + 1      a[3] row g + 8, columns p + 8, p + 9
///   b[0] column g, rows p, p + 1          b[1] column g, rows p + 8, p + 9
///   d[0], d[1] row g, columns p, p + 1    d[2], d[3] row g + 8, the same columns
///
/// as in the PTX manual, "Matrix fragments for mma.m16n8k16". For sm_80 and newer.
__device__ inline void mma_m16n8k16(float (&d)[4], const std::uint32_t (&a)[4],
                                    const std::uint32_t (&b)[2]) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
  __trap();  // the host does not launch it on such a device
#else
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

}  // namespace renas::cudnn
