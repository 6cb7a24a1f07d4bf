#include "backend/cpu/kernels/bf16_kernels.h"

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/bf16_kernels.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h:
#include "backend/cpu/kernels/vector-inl.h"

#if HWY_TARGET == HWY_AVX3
#include "backend/cpu/kernels/bf16_product-inl.h"

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

double amx_peak_loop(int64_t steps) { return Product(true, nullptr).peak_loop(steps); }

}  // namespace bf16
}  // namespace HWY_NAMESPACE
}  // namespace renas::cpu
HWY_AFTER_NAMESPACE();
#endif  // HWY_TARGET == HWY_AVX3

#if HWY_ONCE
namespace renas::cpu::bf16 {

#if HWY_TARGETS & HWY_AVX3

namespace {

#if defined(__x86_64__) && defined(__linux__)

constexpr int kTileData = 18;  // XFEATURE_XTILEDATA

/// Whether the processor has AMX-BF16 and Linux knows of its tile registers.
bool amx_there() {
  constexpr unsigned kAmxBf16 = 1U << 22U;
  constexpr unsigned kAmxTile = 1U << 24U;
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return false;
  if ((d & kAmxBf16) == 0 || (d & kAmxTile) == 0) return false;
  constexpr int kAskSupported = 0x1021;  // ARCH_GET_XCOMP_SUPP
  uint64_t supported = 0;
  return syscall(SYS_arch_prctl, kAskSupported, &supported) == 0 &&
         (supported & (uint64_t{1} << kTileData)) != 0;
}

/// Asks Linux to let this process use the tile registers (it saves 8 KB more for each thread that
/// does).
bool amx_granted() {
  constexpr int kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

#else

bool amx_there() { return false; }
bool amx_granted() { return false; }

#endif

}  // namespace

bool available() {
  return (hwy::SupportedTargets() & HWY_AVX3) != 0 && __builtin_cpu_supports("avx512bf16") != 0;
}

bool offers_amx() {
  // Highway knows no AMX. Its own set for processors of that age stands for it, so that tests that
  // allow AVX-512 alone get the products by vectors. SupportedTargets() may ask the processor each
  // time, which takes 50 microseconds on a virtual machine: this is nothing to call in a step.
  static const bool there = amx_there();
  return there && available() && (hwy::SupportedTargets() & HWY_AVX3_DL) != 0;
}

bool has_amx() {
  if (!offers_amx()) return false;
  static const bool granted = amx_granted();
  return granted;
}

double peak_loop(int64_t steps) { return available() ? N_AVX3::bf16::peak_loop(steps) : 0; }
double amx_peak_loop(int64_t steps) { return N_AVX3::bf16::amx_peak_loop(steps); }

#else

bool available() { return false; }
bool offers_amx() { return false; }
bool has_amx() { return false; }
double peak_loop(int64_t) { return 0; }
double amx_peak_loop(int64_t) { return 0; }

#endif

}  // namespace renas::cpu::bf16
#endif
