// Vectors of bfloat16 pairs and the instructions on them. Pairs are lanes of 32 bits that hold two
// bfloat16 numbers, as the dot-product instruction takes them.
//
// This is code for one target alone: AVX-512, to which AVX512-BF16 is added, and AMX, which only
// bf16_product-inl.h uses. Include it where HWY_TARGET is HWY_AVX3, after vector-inl.h.
#ifndef RENAS_BF16_VECTOR_INL_H_
#define RENAS_BF16_VECTOR_INL_H_

#include <immintrin.h>

#include "backend/cpu/kernels/vector-inl.h"

// These take the place of HWY_ATTR and HWY_BEFORE_NAMESPACE(), which enable neither.
#define RENAS_BF16_TARGET HWY_TARGET_STR ",avx512bf16,amx-tile,amx-bf16"
#define RENAS_BF16_ATTR __attribute__((target(RENAS_BF16_TARGET)))
#define RENAS_BF16_BEFORE_NAMESPACE() \
  HWY_PUSH_ATTRIBUTES(RENAS_BF16_TARGET) static_assert(true, "for the semicolon")

RENAS_BF16_BEFORE_NAMESPACE();
namespace renas::cpu {
namespace HWY_NAMESPACE {
namespace bf16 {

// Vectors of 16 lanes, and of 8 for a single remaining block of channels.
using D16 = hn::CappedTag<float, 16>;
using D8 = hn::CappedTag<float, 8>;
using V16 = hn::Vec<D16>;
using V8 = hn::Vec<D8>;
constexpr D16 d16;
constexpr D8 d8;
/// Vectors of pairs: two bfloat16 in each lane.
using P16 = hn::Vec<hn::RebindToUnsigned<D16>>;
using P8 = hn::Vec<hn::RebindToUnsigned<D8>>;
constexpr hn::RebindToUnsigned<D16> p16;
constexpr hn::RebindToUnsigned<D8> p8;

/// The dot product of each lane's pair, added to the lane of `sum`.
HWY_INLINE V16 dot(V16 sum, P16 a, P16 b) {
  return V16{_mm512_dpbf16_ps(sum.raw, (__m512bh)a.raw, (__m512bh)b.raw)};
}
HWY_INLINE V8 dot(V8 sum, P8 a, P8 b) {
  return V8{_mm256_dpbf16_ps(sum.raw, (__m256bh)a.raw, (__m256bh)b.raw)};
}

/// Rounds two float vectors to bfloat16 and concatenates them: `first` in the lower half of the
/// result, `second` in the upper.
HWY_INLINE P16 round(V16 first, V16 second) {
  return P16{(__m512i)_mm512_cvtne2ps_pbh(second.raw, first.raw)};
}
HWY_INLINE P8 round(V8 first, V8 second) {
  return P8{(__m256i)_mm256_cvtne2ps_pbh(second.raw, first.raw)};
}

alignas(64) inline constexpr uint16_t kInterleave16[32] = {
    0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
    8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
alignas(32) inline constexpr uint16_t kInterleave8[16] = {0, 8,  1, 9,  2, 10, 3, 11,
                                                          4, 12, 5, 13, 6, 14, 7, 15};

/// The same indices for the lower halves of two vectors.
alignas(64) inline constexpr uint16_t kInterleaveTwo16[32] = {
    0, 32, 1, 33, 2,  34, 3,  35, 4,  36, 5,  37, 6,  38, 7,  39,
    8, 40, 9, 41, 10, 42, 11, 43, 12, 44, 13, 45, 14, 46, 15, 47};
alignas(32) inline constexpr uint16_t kInterleaveTwo8[16] = {0, 16, 1, 17, 2, 18, 3, 19,
                                                             4, 20, 5, 21, 6, 22, 7, 23};

/// Turns two concatenated bfloat16 vectors into pairs: lane i gets number i of each.
HWY_INLINE P16 interleave(P16 both) {
  return P16{_mm512_permutexvar_epi16(_mm512_load_si512(kInterleave16), both.raw)};
}
HWY_INLINE P8 interleave(P8 both) {
  return P8{_mm256_permutexvar_epi16(
      _mm256_load_si256(reinterpret_cast<const __m256i*>(kInterleave8)), both.raw)};
}
/// Loads bfloat16 numbers from two places as pairs: lane i is (first[i], second[i]).
HWY_INLINE P16 pair_at(D16, const Bfloat16* first, const Bfloat16* second) {
  const auto* a = reinterpret_cast<const __m256i*>(first);
  const auto* b = reinterpret_cast<const __m256i*>(second);
  return P16{_mm512_permutex2var_epi16(_mm512_castsi256_si512(_mm256_loadu_si256(a)),
                                       _mm512_load_si512(kInterleaveTwo16),
                                       _mm512_castsi256_si512(_mm256_loadu_si256(b)))};
}
HWY_INLINE P8 pair_at(D8, const Bfloat16* first, const Bfloat16* second) {
  const auto* a = reinterpret_cast<const __m128i*>(first);
  const auto* b = reinterpret_cast<const __m128i*>(second);
  return P8{_mm256_permutex2var_epi16(
      _mm256_castsi128_si256(_mm_loadu_si128(a)),
      _mm256_load_si256(reinterpret_cast<const __m256i*>(kInterleaveTwo8)),
      _mm256_castsi128_si256(_mm_loadu_si128(b)))};
}
/// Rounds two float vectors to pairs: lane i is (first[i], second[i]).
template <class V>
HWY_INLINE auto pair(V first, V second) {
  return interleave(round(first, second));
}

HWY_INLINE void put(V16 v, Bfloat16* p) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), (__m256i)_mm512_cvtneps_pbh(v.raw));
}
HWY_INLINE void put(V8 v, Bfloat16* p) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), (__m128i)_mm256_cvtneps_pbh(v.raw));
}

// Pairs are kept in scratch memory and packed weights, which are declared as floats.
HWY_INLINE P16 load16(const float* p) { return P16{_mm512_loadu_si512(p)}; }
HWY_INLINE P8 load8(const float* p) {
  return P8{_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))};
}
template <class D>
HWY_INLINE auto load_pairs(D, const float* p) {
  if constexpr (std::is_same_v<D, D16>) {
    return load16(p);
  } else {
    return load8(p);
  }
}
HWY_INLINE void put(P16 v, float* p) { _mm512_storeu_si512(p, v.raw); }
HWY_INLINE void put(P8 v, float* p) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v.raw); }
HWY_INLINE P8 lower(P16 v) { return P8{_mm512_castsi512_si256(v.raw)}; }
HWY_INLINE P8 upper(P16 v) { return P8{_mm512_extracti64x4_epi64(v.raw, 1)}; }
/// Stores the two halves of a round() result in two places.
HWY_INLINE void put_each(P16 both, Bfloat16* first, Bfloat16* second) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(first), lower(both).raw);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(second), upper(both).raw);
}
HWY_INLINE void put_each(P8 both, Bfloat16* first, Bfloat16* second) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(first), _mm256_castsi256_si128(both.raw));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(second), _mm256_extracti128_si256(both.raw, 1));
}
/// ReLU's backward pass: keeps the lanes of `v` whose activation is positive, zeroes the others.
/// `activated` is an output of ReLU, so positive means nonzero.
HWY_INLINE V16 keep_positive(const Bfloat16* activated, V16 v) {
  const __m256i s = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(activated));
  return V16{_mm512_maskz_mov_ps(_mm256_test_epi16_mask(s, s), v.raw)};
}
HWY_INLINE V8 keep_positive(const Bfloat16* activated, V8 v) {
  const __m128i s = _mm_loadu_si128(reinterpret_cast<const __m128i*>(activated));
  return V8{_mm256_maskz_mov_ps(_mm_test_epi16_mask(s, s), v.raw)};
}
constexpr uint32_t kFirstOfPair = 0xffffU;
constexpr uint32_t kSecondOfPair = 0xffff0000U;
/// The same, with activations in pairs: `which` is kFirstOfPair or kSecondOfPair.
HWY_INLINE V16 keep_positive(const float* activated, uint32_t which, V16 v) {
  const __m512i mask = _mm512_set1_epi32(static_cast<int>(which));
  return V16{_mm512_maskz_mov_ps(_mm512_test_epi32_mask(load16(activated).raw, mask), v.raw)};
}
HWY_INLINE V8 keep_positive(const float* activated, uint32_t which, V8 v) {
  const __m256i mask = _mm256_set1_epi32(static_cast<int>(which));
  return V8{_mm256_maskz_mov_ps(_mm256_test_epi32_mask(load8(activated).raw, mask), v.raw)};
}

/// One number of each pair as a float.
HWY_INLINE V16 first_of(P16 v) { return hn::BitCast(d16, hn::ShiftLeft<16>(v)); }
HWY_INLINE V8 first_of(P8 v) { return hn::BitCast(d8, hn::ShiftLeft<16>(v)); }
HWY_INLINE V16 second_of(P16 v) {
  return hn::BitCast(d16, hn::And(v, hn::Set(p16, kSecondOfPair)));
}
HWY_INLINE V8 second_of(P8 v) { return hn::BitCast(d8, hn::And(v, hn::Set(p8, kSecondOfPair))); }

// New pairs from those of two vectors: (second of a, first of b), both firsts, both seconds.
template <class P>
HWY_INLINE P straddle(P a, P b) {
  return hn::Or(hn::ShiftRight<16>(a), hn::ShiftLeft<16>(b));
}
HWY_INLINE P16 firsts(P16 a, P16 b) {
  return P16{_mm512_mask_blend_epi16(0xaaaaaaaaU, a.raw, hn::ShiftLeft<16>(b).raw)};
}
HWY_INLINE P8 firsts(P8 a, P8 b) {
  return P8{_mm256_blend_epi16(a.raw, hn::ShiftLeft<16>(b).raw, 0xaa)};
}
HWY_INLINE P16 seconds(P16 a, P16 b) {
  return P16{_mm512_mask_blend_epi16(0xaaaaaaaaU, hn::ShiftRight<16>(a).raw, b.raw)};
}
HWY_INLINE P8 seconds(P8 a, P8 b) {
  return P8{_mm256_blend_epi16(hn::ShiftRight<16>(a).raw, b.raw, 0xaa)};
}

/// (1, 1) in every lane: the dot product with it adds up the two numbers of a pair.
template <class D>
HWY_INLINE auto ones(D) {
  return hn::Set(hn::RebindToUnsigned<D>(), 0x3f803f80U);
}

/// Broadcasts one pair to every lane.
HWY_INLINE P16 broadcast(const float* pair) {
  uint32_t bits;
  std::memcpy(&bits, pair, sizeof bits);
  return hn::Set(p16, bits);
}

/// Calls work(tag, first channel) for all channels, 16 at a time, then 8.
template <class Work>
HWY_INLINE void each_vector(int channels, const Work& work) {
  int c = 0;
  for (; c + 16 <= channels; c += 16) work(d16, c);
  if (c < channels) work(d8, c);
}

}  // namespace bf16
}  // namespace HWY_NAMESPACE
}  // namespace renas::cpu
HWY_AFTER_NAMESPACE();

#endif  // RENAS_BF16_VECTOR_INL_H_
