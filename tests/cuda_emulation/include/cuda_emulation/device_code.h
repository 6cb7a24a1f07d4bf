#pragma once

// The words of CUDA C++ that nvcc knows by itself, for kernels that the host's compiler compiles.
// What is not here does not compile, on purpose: floating point atomics, for example, would give
// other bits every run.

#include <cuda_runtime.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "cuda_emulation/kernel.h"

#define threadIdx (::emulation::thread().index)
#define blockIdx (::emulation::thread().block)
#define blockDim (::emulation::thread().block_size)
#define gridDim (::emulation::thread().grid_size)
#define warpSize 32
#undef __launch_bounds__
#define __launch_bounds__(...)
#undef __forceinline__
#define __forceinline__ inline __attribute__((always_inline))

// Nothing could make such a variable new for every block.
#undef __shared__
#define __shared__ \
  static_assert(false, "kernels take static shared memory from static_shared<T>() of launch.h");

#define __syncthreads() static_cast<void>(::emulation::sync_block(__FILE__, __LINE__, false))
#define __syncthreads_count(c) \
  static_cast<int>(::emulation::sync_block(__FILE__, __LINE__, (c) != 0))
#define __syncthreads_or(c) \
  static_cast<int>(::emulation::sync_block(__FILE__, __LINE__, (c) != 0) != 0)
#define __syncthreads_and(c) \
  static_cast<int>(::emulation::sync_block(__FILE__, __LINE__, (c) == 0) == 0)

inline void __syncwarp(unsigned mask = 0xffffffffU) { ::emulation::sync_warp(mask); }
inline void __threadfence() { ::emulation::fence(); }
inline void __threadfence_block() { ::emulation::fence(); }

namespace emulation {

template <class T>
T exchange(unsigned mask, T value, unsigned from) {
  static_assert(sizeof(T) <= sizeof(std::uint64_t) && std::is_trivially_copyable_v<T>);
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  bits = exchange_bits(mask, bits, from);
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

}  // namespace emulation

// Shuffles within parts of `width` lanes, a power of two. A lane beyond its part gives its own
// value.
template <class T>
T __shfl_sync(unsigned mask, T value, int from, int width = 32) {
  const unsigned lane = ::emulation::thread().lane;
  const auto part = static_cast<unsigned>(width);
  return ::emulation::exchange(mask, value,
                               (lane & ~(part - 1)) | (static_cast<unsigned>(from) & (part - 1)));
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32) {
  const unsigned lane = ::emulation::thread().lane;
  const unsigned from = lane ^ static_cast<unsigned>(bits);
  const bool inside =
      from < (lane & ~(static_cast<unsigned>(width) - 1)) + static_cast<unsigned>(width);
  return ::emulation::exchange(mask, value, inside ? from : lane);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned lanes, int width = 32) {
  const unsigned lane = ::emulation::thread().lane;
  const unsigned from = lane + lanes;
  const bool inside =
      from < (lane & ~(static_cast<unsigned>(width) - 1)) + static_cast<unsigned>(width);
  return ::emulation::exchange(mask, value, inside ? from : lane);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned lanes, int width = 32) {
  const unsigned lane = ::emulation::thread().lane;
  const bool inside = (lane & (static_cast<unsigned>(width) - 1)) >= lanes;
  return ::emulation::exchange(mask, value, inside ? lane - lanes : lane);
}
inline unsigned __ballot_sync(unsigned mask, int condition) {
  return ::emulation::ballot(mask, condition != 0);
}
inline int __any_sync(unsigned mask, int condition) {
  return ::emulation::ballot(mask, condition != 0) != 0;
}
inline int __all_sync(unsigned mask, int condition) {
  return ::emulation::ballot(mask, condition == 0) == 0;
}

// Atomics of integers, relaxed as on a card.
template <class T>
concept EmulatedAtomic =
    std::is_same_v<T, int> || std::is_same_v<T, unsigned> || std::is_same_v<T, unsigned long long>;

template <EmulatedAtomic T>
T atomicAdd(T* at, std::type_identity_t<T> value) {
  return __atomic_fetch_add(at, value, __ATOMIC_RELAXED);
}
template <EmulatedAtomic T>
T atomicSub(T* at, std::type_identity_t<T> value) {
  return __atomic_fetch_sub(at, value, __ATOMIC_RELAXED);
}
template <EmulatedAtomic T>
T atomicExch(T* at, std::type_identity_t<T> value) {
  return __atomic_exchange_n(at, value, __ATOMIC_RELAXED);
}
template <EmulatedAtomic T>
T atomicOr(T* at, std::type_identity_t<T> value) {
  return __atomic_fetch_or(at, value, __ATOMIC_RELAXED);
}
template <EmulatedAtomic T>
T atomicAnd(T* at, std::type_identity_t<T> value) {
  return __atomic_fetch_and(at, value, __ATOMIC_RELAXED);
}
template <EmulatedAtomic T>
T atomicCAS(T* at, std::type_identity_t<T> expected, std::type_identity_t<T> value) {
  __atomic_compare_exchange_n(at, &expected, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
  return expected;
}
template <EmulatedAtomic T>
T atomicMax(T* at, std::type_identity_t<T> value) {
  T found = __atomic_load_n(at, __ATOMIC_RELAXED);
  while (found < value && !__atomic_compare_exchange_n(at, &found, value, false, __ATOMIC_RELAXED,
                                                       __ATOMIC_RELAXED)) {
  }
  return found;
}
template <EmulatedAtomic T>
T atomicMin(T* at, std::type_identity_t<T> value) {
  T found = __atomic_load_n(at, __ATOMIC_RELAXED);
  while (value < found && !__atomic_compare_exchange_n(at, &found, value, false, __ATOMIC_RELAXED,
                                                       __ATOMIC_RELAXED)) {
  }
  return found;
}
/// Counts from 0 to `last` and then from 0 again.
inline unsigned atomicInc(unsigned* at, unsigned last) {
  unsigned found = __atomic_load_n(at, __ATOMIC_RELAXED);
  while (!__atomic_compare_exchange_n(at, &found, found >= last ? 0 : found + 1, false,
                                      __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
  return found;
}

// Loads and stores with hints, conversions of bits, and mathematics.
template <class T>
T __ldg(const T* at) {
  return *at;
}
template <class T>
T __ldcs(const T* at) {
  return *at;
}
template <class T>
void __stcs(T* at, std::type_identity_t<T> value) {
  *at = value;
}
inline float __uint_as_float(unsigned bits) { return __builtin_bit_cast(float, bits); }
inline float __int_as_float(int bits) { return __builtin_bit_cast(float, bits); }
inline unsigned __float_as_uint(float value) { return __builtin_bit_cast(unsigned, value); }
inline int __float_as_int(float value) { return __builtin_bit_cast(int, value); }
inline unsigned __umulhi(unsigned a, unsigned b) {
  return static_cast<unsigned>((std::uint64_t{a} * b) >> 32);
}
inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
inline int __ffs(int bits) { return __builtin_ffs(bits); }
inline int __clz(int bits) { return bits == 0 ? 32 : __builtin_clz(static_cast<unsigned>(bits)); }
inline float rsqrtf(float x) { return 1.0F / std::sqrt(x); }
inline float __expf(float x) { return std::exp(x); }
inline float __logf(float x) { return std::log(x); }
inline float __fdividef(float x, float y) { return x / y; }
inline float __fadd_rn(float x, float y) { return x + y; }
inline float __fmul_rn(float x, float y) { return x * y; }
inline float __fmaf_rn(float x, float y, float z) { return std::fma(x, y, z); }
#define EMULATION_MIN_MAX(T)                       \
  inline T min(T a, T b) { return b < a ? b : a; } \
  inline T max(T a, T b) { return a < b ? b : a; }
EMULATION_MIN_MAX(int)
EMULATION_MIN_MAX(unsigned)
EMULATION_MIN_MAX(long)
EMULATION_MIN_MAX(unsigned long)
EMULATION_MIN_MAX(float)
EMULATION_MIN_MAX(double)
#undef EMULATION_MIN_MAX
