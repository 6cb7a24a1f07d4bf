// Vectors of bfloat16 pairs and what multiplies them. Of one target alone (AVX-512, to which
// AVX512-BF16 is added): include it where HWY_TARGET is HWY_AVX3, after vector-inl.h.
#ifndef RENAS_PAIRS_INL_H_
#define RENAS_PAIRS_INL_H_

#include <immintrin.h>

#include "backend/cpu/kernels/ahead.h"
#include "backend/cpu/kernels/vector-inl.h"

/// In place of HWY_ATTR and HWY_BEFORE_NAMESPACE(), which know nothing of AVX512-BF16.
#define RENAS_PAIRS_ATTR __attribute__((target(HWY_TARGET_STR ",avx512bf16")))
#define RENAS_PAIRS_BEFORE_NAMESPACE() \
  HWY_PUSH_ATTRIBUTES(HWY_TARGET_STR ",avx512bf16") static_assert(true, "for the semicolon")

RENAS_PAIRS_BEFORE_NAMESPACE();
namespace renas::cpu {
namespace HWY_NAMESPACE {
namespace pairs {

// Vectors of 16 lanes, and of 8 where a single block of channels is left.
using D16 = hn::CappedTag<float, 16>;
using D8 = hn::CappedTag<float, 8>;
using V16 = hn::Vec<D16>;
using V8 = hn::Vec<D8>;
constexpr D16 d16;
constexpr D8 d8;
/// Lanes of two bfloat16 each.
using P16 = hn::Vec<hn::RebindToUnsigned<D16>>;
using P8 = hn::Vec<hn::RebindToUnsigned<D8>>;
constexpr hn::RebindToUnsigned<D16> p16;
constexpr hn::RebindToUnsigned<D8> p8;

/// sum + both products of each lane.
HWY_INLINE V16 dot(V16 sum, P16 a, P16 b) {
  return V16{_mm512_dpbf16_ps(sum.raw, (__m512bh)a.raw, (__m512bh)b.raw)};
}
HWY_INLINE V8 dot(V8 sum, P8 a, P8 b) {
  return V8{_mm256_dpbf16_ps(sum.raw, (__m256bh)a.raw, (__m256bh)b.raw)};
}

/// Both rounded, one behind the other.
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

/// Of the lower halves of two vectors.
alignas(64) inline constexpr uint16_t kInterleaveTwo16[32] = {
    0, 32, 1, 33, 2,  34, 3,  35, 4,  36, 5,  37, 6,  38, 7,  39,
    8, 40, 9, 41, 10, 42, 11, 43, 12, 44, 13, 45, 14, 46, 15, 47};
alignas(32) inline constexpr uint16_t kInterleaveTwo8[16] = {0, 16, 1, 17, 2, 18, 3, 19,
                                                             4, 20, 5, 21, 6, 22, 7, 23};

/// Two vectors of bfloat16, one behind the other, to pairs of one of each.
HWY_INLINE P16 interleave(P16 both) {
  return P16{_mm512_permutexvar_epi16(_mm512_load_si512(kInterleave16), both.raw)};
}
HWY_INLINE P8 interleave(P8 both) {
  return P8{_mm256_permutexvar_epi16(
      _mm256_load_si256(reinterpret_cast<const __m256i*>(kInterleave8)), both.raw)};
}
/// Lane i: (first[i], second[i]), of halves at two places.
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
/// Lane i: (first[i], second[i]).
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

// Pairs lie in scratch, which is of floats.
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
/// What round() made, each to its own place.
HWY_INLINE void put_each(P16 both, Bfloat16* first, Bfloat16* second) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(first), lower(both).raw);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(second), upper(both).raw);
}
HWY_INLINE void put_each(P8 both, Bfloat16* first, Bfloat16* second) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(first), _mm256_castsi256_si128(both.raw));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(second), _mm256_extracti128_si256(both.raw, 1));
}
/// v where `shown`, which is not negative, is not zero.
HWY_INLINE V16 where(const Bfloat16* shown, V16 v) {
  const __m256i s = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(shown));
  return V16{_mm512_maskz_mov_ps(_mm256_test_epi16_mask(s, s), v.raw)};
}
HWY_INLINE V8 where(const Bfloat16* shown, V8 v) {
  const __m128i s = _mm_loadu_si128(reinterpret_cast<const __m128i*>(shown));
  return V8{_mm256_maskz_mov_ps(_mm_test_epi16_mask(s, s), v.raw)};
}
constexpr uint32_t kFirstOfPair = 0xffffU;
constexpr uint32_t kSecondOfPair = 0xffff0000U;
/// v where a half of the pair `shown`, which is not negative, is not zero.
HWY_INLINE V16 where(const float* shown, uint32_t half, V16 v) {
  const __m512i mask = _mm512_set1_epi32(static_cast<int>(half));
  return V16{_mm512_maskz_mov_ps(_mm512_test_epi32_mask(load16(shown).raw, mask), v.raw)};
}
HWY_INLINE V8 where(const float* shown, uint32_t half, V8 v) {
  const __m256i mask = _mm256_set1_epi32(static_cast<int>(half));
  return V8{_mm256_maskz_mov_ps(_mm256_test_epi32_mask(load8(shown).raw, mask), v.raw)};
}

// New pairs of two vectors' pairs: (second of a, first of b), both firsts, both seconds.
template <class P>
HWY_INLINE P between(P a, P b) {
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

/// (1, 1) in every lane: what a pair is multiplied by to be summed.
template <class D>
HWY_INLINE auto ones(D) {
  return hn::Set(hn::RebindToUnsigned<D>(), 0x3f803f80U);
}

/// A pair in every lane.
HWY_INLINE P16 everywhere(const float* pair) {
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

/// A matrix of pairs: where the pair of row m at step k lies. Operands of two kinds come so: rows
/// of numbers, two neighbours a pair (rows of one matrix, `step` 1), and columns, of which two
/// rows make the pairs (`row` 1).
struct Operand {
  const float* data;
  std::size_t row;
  std::size_t step;
};

/// Rows of bfloat16, dense.
HWY_INLINE Operand rows_of(const Bfloat16* rows, int channels) {
  return {reinterpret_cast<const float*>(rows), static_cast<std::size_t>(channels) / 2, 1};
}

// Where a product's results go. `start(tag, m, c)` are the sums' first values of row m from column
// c on; `put<ROWS>(results, m, c)` takes some rows from m on; each strip of columns goes from the
// first row to the last, between begin(c, columns) and end(c, columns, rows).

struct Sink {
  template <class D>
  HWY_INLINE hn::Vec<D> start(D d, int, int) const {
    return hn::Zero(d);
  }
  HWY_INLINE void begin(int, int) {}
  HWY_INLINE void end(int, int, int) {}
};

/// Dense rows of floats; `add`: to what is there.
struct ToFloats : Sink {
  float* c;
  std::size_t row;
  bool add;

  HWY_INLINE ToFloats(float* to, std::size_t to_row, bool to_add)
      : c(to), row(to_row), add(to_add) {}
  template <class D>
  HWY_INLINE hn::Vec<D> start(D d, int m, int column) const {
    return add ? hn::LoadU(d, at(m, column)) : hn::Zero(d);
  }
  template <int ROWS, class V>
  HWY_INLINE void put(const V (&v)[ROWS], int m, int column) {
#pragma GCC unroll 16
    for (int r = 0; r < ROWS; ++r) hn::StoreU(v[r], hn::DFromV<V>(), at(m + r, column));
  }

 private:
  HWY_INLINE float* at(int m, int column) const {
    return c + static_cast<std::size_t>(m) * row + column;
  }
};

/// Dense rows of an output in bfloat16.
struct ToOutput : Sink {
  Bfloat16* c;
  std::size_t row;

  HWY_INLINE ToOutput(const Output& out, std::size_t first)
      : c(out.data.as<Bfloat16>() + first), row(static_cast<std::size_t>(out.map.channels)) {}
  template <int ROWS, class V>
  HWY_INLINE void put(const V (&v)[ROWS], int m, int column) {
    Bfloat16* to = c + static_cast<std::size_t>(m) * row + column;
    // Rows go down by 16, 8, ... to 1.
    if constexpr (ROWS == 1) {
      pairs::put(v[0], to);
    } else {
#pragma GCC unroll 8
      for (int r = 0; r < ROWS; r += 2, to += 2 * row) {
        put_each(pairs::round(v[r], v[r + 1]), to, to + row);
      }
    }
  }
};

/// Steps between two looks ahead.
constexpr int kChunk = 12;

/// ROWS rows of NZ vectors of 16 columns, and of 8 more with TAIL: sums in registers over all
/// steps.
template <int ROWS, int NZ, bool TAIL, class To>
HWY_INLINE void micro(const Operand& a, int m, const float* b, std::size_t b_row, int column,
                      int steps, To& to, Ahead& ahead) {
  V16 wide[NZ + 1][ROWS];
  V8 tail[ROWS];
#pragma GCC unroll 16
  for (int r = 0; r < ROWS; ++r) {
#pragma GCC unroll 4
    for (int n = 0; n < NZ; ++n) wide[n][r] = to.start(d16, m + r, column + 16 * n);
    if constexpr (TAIL) tail[r] = to.start(d8, m + r, column + 16 * NZ);
  }
  const float* from = a.data + static_cast<std::size_t>(m) * a.row;
  for (int k0 = 0; k0 < steps; k0 += kChunk) {
    const int some = std::min(kChunk, steps - k0);
// Unrolled, the compiler loads B anew for every row.
#pragma GCC unroll 1
    for (int k = 0; k < some; ++k) {
      P16 bv[NZ + 1];
      P8 bt;
#pragma GCC unroll 4
      for (int n = 0; n < NZ; ++n) bv[n] = load16(b + 16 * n);
      if constexpr (TAIL) bt = load8(b + 16 * NZ);
#pragma GCC unroll 16
      for (int r = 0; r < ROWS; ++r) {
        const P16 av = everywhere(from + static_cast<std::size_t>(r) * a.row);
#pragma GCC unroll 4
        for (int n = 0; n < NZ; ++n) wide[n][r] = dot(wide[n][r], av, bv[n]);
        if constexpr (TAIL) tail[r] = dot(tail[r], lower(av), bt);
      }
      from += a.step;
      b += b_row;
    }
    ahead.some();
  }
#pragma GCC unroll 4
  for (int n = 0; n < NZ; ++n) to.template put<ROWS>(wide[n], m, column + 16 * n);
  if constexpr (TAIL) to.template put<ROWS>(tail, m, column + 16 * NZ);
}

template <int ROWS, int NZ, bool TAIL, class To>
HWY_INLINE void rows_of_strip(const Operand& a, int m, int rows, const float* b, std::size_t b_row,
                              int column, int steps, To& to, Ahead& ahead) {
  for (; m + ROWS <= rows; m += ROWS) {
    micro<ROWS, NZ, TAIL>(a, m, b, b_row, column, steps, to, ahead);
  }
  if constexpr (ROWS > 1) {
    if (m < rows) {
      rows_of_strip<ROWS / 2, NZ, TAIL>(a, m, rows, b, b_row, column, steps, to, ahead);
    }
  }
}

template <int ROWS, int NZ, bool TAIL, class To>
HWY_INLINE void strip(const Operand& a, int rows, const float* b, std::size_t b_row, int& column,
                      int steps, To& to, Ahead& ahead) {
  constexpr int kColumns = 16 * NZ + (TAIL ? 8 : 0);
  to.begin(column, kColumns);
  rows_of_strip<ROWS, NZ, TAIL>(a, 0, rows, b + column, b_row, column, steps, to, ahead);
  to.end(column, kColumns, rows);
  column += kColumns;
}

/// A B: A of `rows` rows and `steps` pairs, B of rows of `columns` pairs, one below the other.
template <class To>
HWY_INLINE void multiply(const Operand& a, int rows, const float* b, int columns, int steps, To to,
                         Ahead& ahead) {
  const auto b_row = static_cast<std::size_t>(columns);
  for (int column = 0; column < columns;) {
    const int blocks = (columns - column) / kBlock;
    if (blocks >= 6) {
      strip<8, 3, false>(a, rows, b, b_row, column, steps, to, ahead);
    } else if (blocks == 5) {
      strip<8, 2, true>(a, rows, b, b_row, column, steps, to, ahead);
    } else if (blocks == 4) {
      strip<8, 2, false>(a, rows, b, b_row, column, steps, to, ahead);
    } else if (blocks == 3) {
      strip<8, 1, true>(a, rows, b, b_row, column, steps, to, ahead);
    } else if (blocks == 2) {
      strip<16, 1, false>(a, rows, b, b_row, column, steps, to, ahead);
    } else {
      strip<16, 0, true>(a, rows, b, b_row, column, steps, to, ahead);
    }
  }
}

/// Steps in which a product is computed, about: how often it calls its Ahead.
constexpr int micro_steps(int rows, int columns, int depth) {
  return (rows + 7) / 8 * ((columns + 47) / 48) * ((depth + kChunk - 1) / kChunk);
}

/// Weights [rows][columns], rows even, as B: pairs of one row and the next.
HWY_INLINE void pack_weights(const float* weights, int rows, int columns, float* to) {
  for (int k = 0; k < rows; k += 2, weights += 2 * columns, to += columns) {
    each_vector(columns, [&](auto d, int c) RENAS_PAIRS_ATTR {
      put(pair(hn::LoadU(d, weights + c), hn::LoadU(d, weights + columns + c)), to + c);
    });
  }
}

/// Rows of bfloat16, one a pixel, `row` from one to the next, and the same numbers as columns:
/// pairs of one pixel and the next, behind an odd last pixel zeros, `column` from one pair to the
/// next. `value(pixel)` gives a vector of channels.
template <class D, class Value>
HWY_INLINE void put_pixels(D d, int count, std::size_t row, std::size_t column, const Value& value,
                           Bfloat16* rows, float* columns) {
  int p = 0;
  for (; p + 2 <= count; p += 2, rows += 2 * row) {
    const auto both = round(value(p), value(p + 1));
    put_each(both, rows, rows + row);
    if (columns == nullptr) continue;
    put(interleave(both), columns);
    columns += column;
  }
  if (p < count) {
    const auto last = value(p);
    put(last, rows);
    if (columns != nullptr) put(pair(last, hn::Zero(d)), columns);
  }
}

/// The gradients of `count` pixels with respect to the raw output (see Output), from offset `at`
/// on, as rows and columns.
HWY_INLINE void fold(const Output& o, std::size_t at, int count, Bfloat16* rows, float* columns) {
  const auto channels = static_cast<std::size_t>(o.map.channels);
  each_vector(o.map.channels, [&](auto d, int c) RENAS_PAIRS_ATTR {
    const Bfloat16* gradient = o.gradient.as<Bfloat16>() + at + c;
    const auto step = static_cast<std::ptrdiff_t>(channels);
    if (o.by_gradient == nullptr) {
      return put_pixels(
          d, count, channels, channels,
          [&](int p) RENAS_PAIRS_ATTR { return load(d, gradient + p * step); }, rows + c,
          columns + c);
    }
    const Bfloat16* value = o.data.as<Bfloat16>() + at + c;
    const auto by_gradient = hn::LoadU(d, o.by_gradient + c);
    const auto by_value = hn::LoadU(d, o.by_value + c);
    const auto constant = hn::LoadU(d, o.constant + c);
    put_pixels(
        d, count, channels, channels,
        [&](int p) RENAS_PAIRS_ATTR {
          const auto rest = hn::MulAdd(by_value, load(d, value + p * step), constant);
          return hn::MulAdd(by_gradient, load(d, gradient + p * step), rest);
        },
        rows + c, columns + c);
  });
}

/// Sums over pixels, of one vector's channels.
template <class D>
struct Sums {
  hn::Vec<D> of_a;
  hn::Vec<D> of_products;
};

/// Of a and a b, `pixels` pixels of `channels`, two pixels a product.
template <class D>
HWY_INLINE Sums<D> sums_of(D d, const Bfloat16* a, const Bfloat16* b, int pixels,
                           std::size_t channels) {
  const auto one = ones(d);
  // Two chains: one would wait for itself.
  auto sum0 = hn::Zero(d);
  auto sum1 = hn::Zero(d);
  auto dot0 = hn::Zero(d);
  auto dot1 = hn::Zero(d);
  int p = 0;
  for (; p + 4 <= pixels; p += 4, a += 4 * channels, b += 4 * channels) {
    const auto a0 = pair_at(d, a, a + channels);
    const auto a1 = pair_at(d, a + 2 * channels, a + 3 * channels);
    sum0 = dot(sum0, a0, one);
    sum1 = dot(sum1, a1, one);
    dot0 = dot(dot0, a0, pair_at(d, b, b + channels));
    dot1 = dot(dot1, a1, pair_at(d, b + 2 * channels, b + 3 * channels));
  }
  for (; p < pixels; ++p, a += channels, b += channels) {
    const auto value = load(d, a);
    sum0 = hn::Add(sum0, value);
    dot0 = hn::MulAdd(value, load(d, b), dot0);
  }
  return {hn::Add(sum0, sum1), hn::Add(dot0, dot1)};
}

template <class D>
HWY_INLINE void add_to(D d, hn::Vec<D> v, float* to) {
  hn::StoreU(hn::Add(hn::LoadU(d, to), v), d, to);
}

// Both kinds of sums are taken around zero and moved to their centre tile by tile: of so few
// pixels, a float has digits to spare for what bfloat16 tells apart.

/// Adds the statistics (see Output) of `pixels` pixels from offset `at` on, as they are stored.
HWY_INLINE void take_statistics(const Output& o, std::size_t at, int pixels, float* sums) {
  if (o.pilot == nullptr || sums == nullptr) return;
  const auto channels = static_cast<std::size_t>(o.map.channels);
  each_vector(o.map.channels, [&](auto d, int c) RENAS_PAIRS_ATTR {
    const Bfloat16* v = o.data.as<Bfloat16>() + at + c;
    const auto [about_zero, squares] = sums_of(d, v, v, pixels, channels);
    const auto k = hn::LoadU(d, o.pilot + c);
    const auto count = hn::Set(d, static_cast<float>(pixels));
    const auto sum = hn::NegMulAdd(count, k, about_zero);
    add_to(d, sum, sums + c);
    add_to(d, hn::NegMulAdd(k, hn::Add(about_zero, sum), squares), sums + channels + c);
  });
}

/// The source's batch-norm sums (see NormSumsArgs) of `pixels` pixels from offset `at` on, if it
/// takes them.
HWY_INLINE void take_norm_sums(const Source& s, std::size_t at, int pixels, float* area) {
  if (s.mean == nullptr) return;
  const auto channels = static_cast<std::size_t>(s.map.channels);
  each_vector(s.map.channels, [&](auto d, int c) RENAS_PAIRS_ATTR {
    const Bfloat16* g = s.gradient.as<Bfloat16>() + at + c;
    const Bfloat16* v = s.data.as<Bfloat16>() + at + c;
    const auto [sum, products] = sums_of(d, g, v, pixels, channels);
    float* to = area + s.sums + c;
    add_to(d, sum, to);
    add_to(d, hn::NegMulAdd(sum, hn::LoadU(d, s.mean + c), products), to + channels);
  });
}

/// Divides memory, of floats or const floats, into parts that begin at whole lines; of nullptr,
/// only counts.
template <class T>
class Parts {
 public:
  explicit Parts(T* memory) : memory_(memory) {}
  T* take(std::size_t floats) {
    T* part = memory_ == nullptr ? nullptr : memory_ + taken_;
    taken_ += (floats + 15) / 16 * 16;
    return part;
  }
  Bfloat16* take_halves(std::size_t halves) {
    return reinterpret_cast<Bfloat16*>(take((halves + 1) / 2));
  }
  std::size_t taken() const { return taken_; }

 private:
  T* memory_;
  std::size_t taken_ = 0;
};

}  // namespace pairs
}  // namespace HWY_NAMESPACE
}  // namespace renas::cpu
HWY_AFTER_NAMESPACE();

#endif  // RENAS_PAIRS_INL_H_
