#include "backend/cpu/kernels/bf16_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/bf16_kernels.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h:
#include "backend/cpu/kernels/vector-inl.h"

#if HWY_TARGET == HWY_AVX3
#include "backend/cpu/kernels/bf16_gemm-inl.h"

RENAS_BF16_BEFORE_NAMESPACE();
namespace renas::cpu {
namespace HWY_NAMESPACE {
namespace bf16 {

double peak_loop(int64_t steps) {
  constexpr int kChains = 16;
  V16 sums[kChains];
  for (V16& sum : sums) sum = hn::Set(d16, 1.0F);
  const P16 factor = hn::Set(p16, 0x3f7f3f7f);  // 0.996, twice
  const P16 term = hn::Set(p16, 0x38003800);
  for (int64_t i = 0; i < steps; ++i) {
#pragma GCC unroll 16
    for (int k = 0; k < kChains; ++k) sums[k] = dot(sums[k], factor, term);
  }
  V16 total = sums[0];
  for (int k = 1; k < kChains; ++k) total = hn::Add(total, sums[k]);
  // The result is read so that the compiler keeps the loop; it is never negative.
  return hn::GetLane(total) < 0 ? 0 : 4.0 * kChains * 16 * static_cast<double>(steps);
}

}  // namespace bf16
}  // namespace HWY_NAMESPACE
}  // namespace renas::cpu
HWY_AFTER_NAMESPACE();
#endif  // HWY_TARGET == HWY_AVX3

#if HWY_ONCE
namespace renas::cpu::bf16 {

#if HWY_TARGETS & HWY_AVX3

bool available() {
  return (hwy::SupportedTargets() & HWY_AVX3) != 0 && __builtin_cpu_supports("avx512bf16") != 0;
}

double peak_loop(int64_t steps) { return available() ? N_AVX3::bf16::peak_loop(steps) : 0; }

#else

bool available() { return false; }
double peak_loop(int64_t) { return 0; }

#endif

}  // namespace renas::cpu::bf16
#endif
