// Matrix products of bfloat16 pairs on tiles that lie in cache, by vectors: their operands, and
// where results go. For one target alone, as bf16_vector-inl.h.
#ifndef RENAS_BF16_GEMM_INL_H_
#define RENAS_BF16_GEMM_INL_H_

#include "backend/cpu/kernels/bf16_vector-inl.h"
#include "backend/cpu/kernels/prefetcher.h"

RENAS_BF16_BEFORE_NAMESPACE();
namespace renas::cpu {
namespace HWY_NAMESPACE {
namespace bf16 {

/// A matrix of pairs: the pair of row m at step k lies at data[m * row + k * step]. Two kinds of
/// operands have this form: rows of numbers, where two neighbours are a pair (`step` 1), and
/// columns (a transposed matrix), where two rows are interleaved into pairs (`row` 1).
struct Operand {
  const float* data;
  std::size_t row;
  std::size_t step;
};

/// Rows of bfloat16, `step` numbers apart, as an operand.
HWY_INLINE Operand rows_of(const Bfloat16* rows, std::size_t step) {
  return {reinterpret_cast<const float*>(rows), step / 2, 1};
}

// Rows in scratch memory and packed weights begin at cache lines: a tile register that is filled
// from rows across lines takes four times as long.

/// The floats from row to row of a matrix with `columns` columns of pairs.
constexpr int pair_row(int columns) { return (columns + 15) / 16 * 16; }
/// The numbers from row to row of a matrix with `columns` columns of bfloat16.
constexpr int bf16_row(int columns) { return (columns + 31) / 32 * 32; }

// Where a product's results go. `start(tag, m, c)` gives the sums of row m their first values from
// column c on; kStartsAtZero says that these are zero. `put<ROWS>(results, m, c)` takes ROWS rows
// from row m on; ROWS is 16, 8, 4, 2 or 1, and 1 only for the last row.

struct Sink {
  static constexpr bool kStartsAtZero = true;
  template <class D>
  HWY_INLINE hn::Vec<D> start(D d, int, int) const {
    return hn::Zero(d);
  }
};

/// Dense rows of floats. Results are added to what is there.
struct AddToFloats : Sink {
  static constexpr bool kStartsAtZero = false;
  float* c;
  std::size_t row;

  HWY_INLINE AddToFloats(float* to, std::size_t to_row) : c(to), row(to_row) {}
  template <class D>
  HWY_INLINE hn::Vec<D> start(D d, int m, int column) const {
    return hn::LoadU(d, at(m, column));
  }
  template <int ROWS, class V>
  HWY_INLINE void put(const V (&v)[ROWS], int m, int column) {
#pragma GCC unroll 16
    for (int r = 0; r < ROWS; ++r) hn::StoreU(v[r], hn::DFromV<V>(), at(m + r, column));
  }

 private:
  HWY_INLINE float* at(int m, int column) const { return c + m * row + column; }
};

/// Dense rows of an output in bfloat16.
struct ToOutput : Sink {
  Bfloat16* c;
  std::size_t row;

  HWY_INLINE ToOutput(const OutputMap& out, std::size_t first)
      : c(out.data.as<Bfloat16>() + first), row(out.map.channels) {}
  template <int ROWS, class V>
  HWY_INLINE void put(const V (&v)[ROWS], int m, int column) {
    Bfloat16* to = c + m * row + column;
    if constexpr (ROWS == 1) {
      bf16::put(v[0], to);
    } else {
#pragma GCC unroll 8
      for (int r = 0; r < ROWS; r += 2, to += 2 * row) {
        put_each(bf16::round(v[r], v[r + 1]), to, to + row);
      }
    }
  }
};

/// The number of steps between two calls of Prefetcher::issue().
constexpr int kChunk = 12;

/// Computes ROWS rows of NZ vectors of 16 columns, and of 8 more with TAIL, keeping the sums in
/// registers over all steps.
template <int ROWS, int NZ, bool TAIL, class To>
HWY_INLINE void micro(const Operand& a, int m, const float* b, std::size_t b_row, int column,
                      int steps, To& to, Prefetcher& prefetcher) {
  V16 wide[NZ + 1][ROWS];
  V8 tail[ROWS];
#pragma GCC unroll 16
  for (int r = 0; r < ROWS; ++r) {
#pragma GCC unroll 4
    for (int n = 0; n < NZ; ++n) wide[n][r] = to.start(d16, m + r, column + 16 * n);
    if constexpr (TAIL) tail[r] = to.start(d8, m + r, column + 16 * NZ);
  }
  const float* from = a.data + m * a.row;
  for (int k0 = 0; k0 < steps; k0 += kChunk) {
    const int chunk = std::min(kChunk, steps - k0);
// Unrolled, this loop would make the compiler load B again for every row.
#pragma GCC unroll 1
    for (int k = 0; k < chunk; ++k) {
      P16 bv[NZ + 1];
      P8 bt;
#pragma GCC unroll 4
      for (int n = 0; n < NZ; ++n) bv[n] = load16(b + 16 * n);
      if constexpr (TAIL) bt = load8(b + 16 * NZ);
#pragma GCC unroll 16
      for (int r = 0; r < ROWS; ++r) {
        const P16 av = broadcast(from + r * a.row);
#pragma GCC unroll 4
        for (int n = 0; n < NZ; ++n) wide[n][r] = dot(wide[n][r], av, bv[n]);
        if constexpr (TAIL) tail[r] = dot(tail[r], lower(av), bt);
      }
      from += a.step;
      b += b_row;
    }
    prefetcher.issue();
  }
#pragma GCC unroll 4
  for (int n = 0; n < NZ; ++n) to.template put<ROWS>(wide[n], m, column + 16 * n);
  if constexpr (TAIL) to.template put<ROWS>(tail, m, column + 16 * NZ);
}

template <int ROWS, int NZ, bool TAIL, class To>
HWY_INLINE void rows_of_strip(const Operand& a, int m, int rows, const float* b, std::size_t b_row,
                              int column, int steps, To& to, Prefetcher& prefetcher) {
  for (; m + ROWS <= rows; m += ROWS) {
    micro<ROWS, NZ, TAIL>(a, m, b, b_row, column, steps, to, prefetcher);
  }
  if constexpr (ROWS > 1) {
    if (m < rows) {
      rows_of_strip<ROWS / 2, NZ, TAIL>(a, m, rows, b, b_row, column, steps, to, prefetcher);
    }
  }
}

template <int ROWS, int NZ, bool TAIL, class To>
HWY_INLINE void strip(const Operand& a, int rows, const float* b, std::size_t b_row, int& column,
                      int steps, To& to, Prefetcher& prefetcher) {
  constexpr int kColumns = 16 * NZ + (TAIL ? 8 : 0);
  rows_of_strip<ROWS, NZ, TAIL>(a, 0, rows, b + column, b_row, column, steps, to, prefetcher);
  column += kColumns;
}

/// Computes A B into `to`: A has `rows` rows of `steps` pairs, B `steps` rows of `columns` pairs,
/// pair_row(columns) apart.
template <class To>
HWY_INLINE void multiply_by_vectors(const Operand& a, int rows, const float* b, int columns,
                                    int steps, To to, Prefetcher& prefetcher) {
  const std::size_t b_row = pair_row(columns);
  for (int column = 0; column < columns;) {
    const int blocks = (columns - column) / kBlock;
    if (blocks >= 6) {
      strip<8, 3, false>(a, rows, b, b_row, column, steps, to, prefetcher);
    } else if (blocks == 5) {
      strip<8, 2, true>(a, rows, b, b_row, column, steps, to, prefetcher);
    } else if (blocks == 4) {
      strip<8, 2, false>(a, rows, b, b_row, column, steps, to, prefetcher);
    } else if (blocks == 3) {
      strip<8, 1, true>(a, rows, b, b_row, column, steps, to, prefetcher);
    } else if (blocks == 2) {
      strip<16, 1, false>(a, rows, b, b_row, column, steps, to, prefetcher);
    } else {
      strip<16, 0, true>(a, rows, b, b_row, column, steps, to, prefetcher);
    }
  }
}

/// About how often a product of this size calls Prefetcher::issue().
constexpr int vector_pieces(int rows, int columns, int depth) {
  return (rows + 7) / 8 * ((columns + 47) / 48) * ((depth + kChunk - 1) / kChunk);
}

}  // namespace bf16
}  // namespace HWY_NAMESPACE
}  // namespace renas::cpu
HWY_AFTER_NAMESPACE();

#endif  // RENAS_BF16_GEMM_INL_H_
