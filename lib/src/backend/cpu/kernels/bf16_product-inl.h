// Matrix products of bfloat16 pairs on the tile registers of AMX, or by vectors where the processor
// has none. For one target alone, as bf16_vector-inl.h.
//
// A tile register holds up to 16 rows of 64 bytes. One instruction adds to 16x16 floats the product
// of 16 rows of 16 pairs with 16 steps of 16 columns of pairs: as much as 256 dot products of
// vectors, in 16 cycles. (Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1,
// chapter 18.)
#ifndef RENAS_BF16_PRODUCT_INL_H_
#define RENAS_BF16_PRODUCT_INL_H_

#include "backend/cpu/kernels/bf16_gemm-inl.h"

RENAS_BF16_BEFORE_NAMESPACE();
namespace renas::cpu {
namespace HWY_NAMESPACE {
namespace bf16 {

/// The rows of a tile register, the pairs of its rows, and their floats.
constexpr int kAmxSide = 16;
constexpr int kAmxFloats = kAmxSide * kAmxSide;
/// Columns that are computed at once, each 16 in a register of their own.
constexpr int kAmxColumns = 4 * kAmxSide;

/// The number of tile registers that hold `count` rows or steps, and the rows or steps of these.
constexpr int amx_tiles(int count) { return (count + kAmxSide - 1) / kAmxSide; }
constexpr int amx_padded(int count) { return amx_tiles(count) * kAmxSide; }

/// Transposes 16x16 pairs: row i of `to` gets lane i of the `count` rows of `from`, which are
/// `step` floats apart, and zeros behind them.
HWY_INLINE void transpose_pairs(const float* from, std::size_t step, int count, float* to) {
  __m512i r[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) {
    r[i] = i < count ? _mm512_loadu_si512(from + i * step) : _mm512_setzero_si512();
  }
  // Each pass interleaves larger parts: pairs, two pairs, then the quarters of the vectors twice.
  __m512i s[16];
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) {
    s[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
    s[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {
    r[i] = _mm512_unpacklo_epi64(s[i], s[i + 2]);
    r[i + 1] = _mm512_unpackhi_epi64(s[i], s[i + 2]);
    r[i + 2] = _mm512_unpacklo_epi64(s[i + 1], s[i + 3]);
    r[i + 3] = _mm512_unpackhi_epi64(s[i + 1], s[i + 3]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    s[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
    s[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
    s[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
    s[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
  }
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    _mm512_storeu_si512(to + i * 16, _mm512_shuffle_i32x4(s[i], s[i + 8], 0x88));
    _mm512_storeu_si512(to + (i + 8) * 16, _mm512_shuffle_i32x4(s[i], s[i + 8], 0xdd));
  }
}

/// Multiplies matrices of pairs. It lives as long as one call of a kernel, since it configures the
/// calling thread's tile registers and gives them back at its end.
class Product {
 public:
  /// `amx`: has_amx(). `transposed` holds transposed_floats() of the most steps of a transposed
  /// matrix.
  HWY_INLINE Product(bool amx, float* transposed) : amx_(amx), transposed_(transposed) {}
  HWY_INLINE ~Product() {
    if (rows_ != 0) _tile_release();
  }
  Product(const Product&) = delete;
  Product& operator=(const Product&) = delete;

  /// The floats of 16 rows of a transposed matrix with `steps` pairs a row.
  static std::size_t transposed_floats(int steps) {
    return static_cast<std::size_t>(amx_padded(steps)) * kAmxSide;
  }

  /// Computes A B into `to`: A has `rows` rows of `steps` pairs and comes from rows_of(), B has
  /// `steps` rows of `columns` pairs, pair_row(columns) apart.
  template <class To>
  HWY_INLINE void multiply(const Operand& a, int rows, const float* b, int columns, int steps,
                           To to, Prefetcher& prefetcher) {
    if (!amx_) return multiply_by_vectors(a, rows, b, columns, steps, to, prefetcher);
    configure(std::min(rows, kAmxSide), steps % kAmxSide);
    for (int m = 0; m < rows; m += kAmxSide) {
      // The last rows are computed together with some of those before, to fill the registers.
      const int from = std::min(m, std::max(0, rows - kAmxSide));
      row_of_tiles({a.data + from * a.row, a.row * sizeof(float), kAmxSide}, b, columns, steps, m,
                   m - from, std::min(kAmxSide, rows - m), to, prefetcher);
    }
  }

  /// The same with A transposed: `steps` rows of `rows` pairs, pair_row(rows) apart. B has zeros,
  /// or numbers at least, in the rows up to amx_padded(steps).
  template <class To>
  HWY_INLINE void multiply_transposed(const float* a, int rows, const float* b, int columns,
                                      int steps, To to, Prefetcher& prefetcher) {
    const auto step = static_cast<std::size_t>(pair_row(rows));
    if (!amx_) {
      return multiply_by_vectors({a, 1, step}, rows, b, columns, steps, to, prefetcher);
    }
    configure(kAmxSide, 0);
    for (int m = 0; m < rows; m += kAmxSide) {
      for (int k = 0; k < steps; k += kAmxSide) {
        transpose_pairs(a + k * step + m, step, std::min(kAmxSide, steps - k),
                        transposed_ + k * kAmxSide);
      }
      row_of_tiles({transposed_, kAmxSide * sizeof(float), kAmxFloats}, b, columns,
                   amx_padded(steps), m, 0, std::min(kAmxSide, rows - m), to, prefetcher);
    }
  }

  /// Multiplies something that nobody reads. The processor puts the multiplier of tiles to sleep
  /// when it idles for about 2,000 cycles, and takes 1,000 and more to wake it (measured on
  /// Sapphire Rapids), so other work between products calls this every few hundred cycles.
  HWY_INLINE void keep_awake() const {
    if (rows_ != 0) _tile_dpbf16ps(3, 4, 5);
  }

  /// Runs products that wait for nothing, to measure the processor's peak. Returns the number of
  /// floating-point operations.
  double peak_loop(int64_t steps) {
    configure(kAmxSide, 0);
    for (int64_t i = 0; i < steps / kAmxSide; ++i) {
      _tile_dpbf16ps(0, 4, 5);
      _tile_dpbf16ps(1, 4, 5);
      _tile_dpbf16ps(2, 4, 5);
      _tile_dpbf16ps(3, 4, 5);
    }
    constexpr double kFlops = 4.0 * kAmxSide * kAmxSide * kAmxSide;  // of one: pairs, mult and add
    return 4 * kFlops * static_cast<double>(steps / kAmxSide);
  }

  /// About how often a product of this size calls Prefetcher::issue().
  HWY_INLINE int pieces(int rows, int columns, int steps) const {
    if (!amx_) return vector_pieces(rows, columns, steps);
    const int strips = (columns + kAmxColumns - 1) / kAmxColumns;
    return amx_tiles(rows) * strips * amx_tiles(steps);
  }

 private:
  // Registers 0 to 3 hold sums, 4 and 5 a part of A and of B, 6 and 7 the last part of both, with
  // the steps that are left over. Instructions name registers by literals, so that what is done
  // with one cannot be a function of its number.

  /// As the instruction that configures the registers wants it.
  struct alignas(64) Configuration {
    uint8_t palette = 1;
    uint8_t start_row = 0;
    uint8_t reserved[14] = {};
    uint16_t row_bytes[16] = {};
    uint8_t rows[16] = {};
  };

  /// 16 rows of A: where they begin, bytes from row to row, floats from 16 steps to the next.
  struct Rows {
    const float* data;
    std::size_t row_bytes;
    int step_floats;
  };

  /// Makes the compiler write what it has not yet written, and read again what it has read: it does
  /// not see the memory that instructions on tile registers use, of which `at` is a part.
  HWY_INLINE static void settle(const void* at) { __asm__ volatile("" : : "r"(at) : "memory"); }

  /// Configures the registers for `rows` rows of A, and `rest` steps in the last part.
  HWY_INLINE void configure(int rows, int rest) {
    if (rows == rows_ && (rest == 0 || rest == rest_)) return;
    Configuration c;
    for (int i = 0; i < 8; ++i) {
      c.row_bytes[i] = 64;
      c.rows[i] = static_cast<uint8_t>(rows);
    }
    c.rows[5] = kAmxSide;
    if (rest == 0) rest = rest_ == 0 ? kAmxSide : rest_;
    c.row_bytes[6] = static_cast<uint16_t>(4 * rest);
    c.rows[7] = static_cast<uint8_t>(rest);
    settle(&c);
    _tile_loadconfig(&c);
    rows_ = rows;
    rest_ = rest;
  }

  /// Multiplies 16 rows with all columns. `to` gets `count` of them from the `skip`-th on, as row m
  /// and those behind it.
  template <class To>
  HWY_INLINE void row_of_tiles(const Rows& a, const float* b, int columns, int steps, int m,
                               int skip, int count, To& to, Prefetcher& prefetcher) {
    const auto b_row = static_cast<std::size_t>(pair_row(columns));
    alignas(64) float sums[4 * kAmxFloats];
    for (int column = 0; column < columns; column += kAmxColumns) {
      const int left = std::min(kAmxColumns, columns - column);
      const float* strip = b + column;
      if (left > 48) {
        sum<4>(a, strip, b_row, steps, sums, prefetcher);
      } else if (left > 32) {
        sum<3>(a, strip, b_row, steps, sums, prefetcher);
      } else if (left > 16) {
        sum<2>(a, strip, b_row, steps, sums, prefetcher);
      } else {
        sum<1>(a, strip, b_row, steps, sums, prefetcher);
      }
      const float* from = sums + skip * kAmxSide;
      int c = 0;
      for (; c + 16 <= left; c += 16) {
        put_rows(d16, from + c * kAmxSide, count, m, column + c, to);
      }
      if (c < left) put_rows(d8, from + c * kAmxSide, count, m, column + c, to);
    }
  }

  /// Computes 16 rows of N times 16 columns into `sums`, [N][16][16].
  template <int N>
  HWY_INLINE static void sum(const Rows& a, const float* b, std::size_t b_row, int steps,
                             float* sums, Prefetcher& prefetcher) {
    const std::size_t b_bytes = b_row * sizeof(float);
    const float* rows = a.data;
    settle(rows);
    _tile_zero(0);
    if constexpr (N > 1) _tile_zero(1);
    if constexpr (N > 2) _tile_zero(2);
    if constexpr (N > 3) _tile_zero(3);
    for (; steps >= kAmxSide; steps -= kAmxSide) {
      _tile_loadd(4, rows, a.row_bytes);
      _tile_loadd(5, b, b_bytes);
      _tile_dpbf16ps(0, 4, 5);
      if constexpr (N > 1) {
        _tile_loadd(5, b + 16, b_bytes);
        _tile_dpbf16ps(1, 4, 5);
      }
      if constexpr (N > 2) {
        _tile_loadd(5, b + 32, b_bytes);
        _tile_dpbf16ps(2, 4, 5);
      }
      if constexpr (N > 3) {
        _tile_loadd(5, b + 48, b_bytes);
        _tile_dpbf16ps(3, 4, 5);
      }
      rows += a.step_floats;
      b += kAmxSide * b_row;
      prefetcher.issue();
    }
    if (steps > 0) {
      _tile_loadd(6, rows, a.row_bytes);
      _tile_loadd(7, b, b_bytes);
      _tile_dpbf16ps(0, 6, 7);
      if constexpr (N > 1) {
        _tile_loadd(7, b + 16, b_bytes);
        _tile_dpbf16ps(1, 6, 7);
      }
      if constexpr (N > 2) {
        _tile_loadd(7, b + 32, b_bytes);
        _tile_dpbf16ps(2, 6, 7);
      }
      if constexpr (N > 3) {
        _tile_loadd(7, b + 48, b_bytes);
        _tile_dpbf16ps(3, 6, 7);
      }
      prefetcher.issue();
    }
    _tile_stored(0, sums, 64);
    if constexpr (N > 1) _tile_stored(1, sums + kAmxFloats, 64);
    if constexpr (N > 2) _tile_stored(2, sums + 2 * kAmxFloats, 64);
    if constexpr (N > 3) _tile_stored(3, sums + 3 * kAmxFloats, 64);
    settle(sums);
  }

  /// Hands `count` rows of sums, 16 floats apart, to `to`.
  template <class D, class To>
  HWY_INLINE static void put_rows(D d, const float* sums, int count, int m, int column, To& to) {
    if (count == kAmxSide) return put<kAmxSide>(d, sums, m, column, to);
    if ((count & 8) != 0) {
      put<8>(d, sums, m, column, to);
      sums += 8 * kAmxSide;
      m += 8;
    }
    if ((count & 4) != 0) {
      put<4>(d, sums, m, column, to);
      sums += 4 * kAmxSide;
      m += 4;
    }
    if ((count & 2) != 0) {
      put<2>(d, sums, m, column, to);
      sums += 2 * kAmxSide;
      m += 2;
    }
    if ((count & 1) != 0) put<1>(d, sums, m, column, to);
  }
  template <int ROWS, class D, class To>
  HWY_INLINE static void put(D d, const float* sums, int m, int column, To& to) {
    hn::Vec<D> v[ROWS];
#pragma GCC unroll 16
    for (int r = 0; r < ROWS; ++r) {
      v[r] = hn::LoadU(d, sums + r * kAmxSide);
      if constexpr (!To::kStartsAtZero) v[r] = hn::Add(to.start(d, m + r, column), v[r]);
    }
    to.template put<ROWS>(v, m, column);
  }

  const bool amx_;
  float* const transposed_;
  int rows_ = 0;  // what the registers are configured for; 0: they are not
  int rest_ = 0;
};

}  // namespace bf16
}  // namespace HWY_NAMESPACE
}  // namespace renas::cpu
HWY_AFTER_NAMESPACE();

#endif  // RENAS_BF16_PRODUCT_INL_H_
