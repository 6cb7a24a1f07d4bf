// Small matrix products on tiles that lie in cache. Per-target toggle, see vector-inl.h.
#if defined(RENAS_GEMM_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef RENAS_GEMM_INL_H_
#undef RENAS_GEMM_INL_H_
#else
#define RENAS_GEMM_INL_H_
#endif

#include "backend/onednn/kernels/ahead.h"
#include "backend/onednn/kernels/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace renas::onednn {
namespace HWY_NAMESPACE {

/// Where element (row, column) of a matrix lies: row * row_stride +
/// column / kBlock * block_stride + column % kBlock. Covers dense rows (block_stride = kBlock) and
/// blocked tiles (row_stride = kBlock).
template <class T>
struct Matrix {
  T* data;
  std::size_t row_stride;
  std::size_t block_stride;
};

/// Rows x NV vectors of C = A B (or C += A B), all `depth` steps at once in registers.
/// TRANSPOSED: A's element (m, k) is taken from row k, column m; rows are then within one block.
template <int ROWS, int NV, bool TRANSPOSED>
HWY_INLINE void micro(const float* a, std::size_t a_row, std::size_t a_block, const float* b,
                      std::size_t b_row, float* const* c, std::size_t c_row, int depth, bool add) {
  V acc[ROWS][NV];
#pragma GCC unroll 16
  for (int m = 0; m < ROWS; ++m) {
#pragma GCC unroll 4
    for (int n = 0; n < NV; ++n) {
      acc[m][n] = add ? load(c[n] + static_cast<std::size_t>(m) * c_row) : zero();
    }
  }
  if constexpr (TRANSPOSED) {
    for (int k = 0; k < depth; ++k) {
      V bv[NV];
#pragma GCC unroll 4
      for (int n = 0; n < NV; ++n) bv[n] = load(b + n * kLanes);
#pragma GCC unroll 16
      for (int m = 0; m < ROWS; ++m) {
        const V av = hn::Set(d, a[m]);
#pragma GCC unroll 4
        for (int n = 0; n < NV; ++n) acc[m][n] = hn::MulAdd(av, bv[n], acc[m][n]);
      }
      a += a_row;
      b += b_row;
    }
  } else {
    for (int k = 0; k < depth; k += kBlock) {
// Unrolled, the compiler loads B anew for every row.
#pragma GCC unroll 1
      for (int kk = 0; kk < kBlock; ++kk) {
        V bv[NV];
#pragma GCC unroll 4
        for (int n = 0; n < NV; ++n) bv[n] = load(b + n * kLanes);
#pragma GCC unroll 16
        for (int m = 0; m < ROWS; ++m) {
          const V av = hn::Set(d, a[static_cast<std::size_t>(m) * a_row + kk]);
#pragma GCC unroll 4
          for (int n = 0; n < NV; ++n) acc[m][n] = hn::MulAdd(av, bv[n], acc[m][n]);
        }
        b += b_row;
      }
      a += a_block;
    }
  }
#pragma GCC unroll 16
  for (int m = 0; m < ROWS; ++m) {
#pragma GCC unroll 4
    for (int n = 0; n < NV; ++n) store(acc[m][n], c[n] + static_cast<std::size_t>(m) * c_row);
  }
}

template <bool TRANSPOSED>
HWY_INLINE const float* row_of(const Matrix<const float>& a, int m) {
  if constexpr (TRANSPOSED) {
    return a.data + static_cast<std::size_t>(m / kBlock) * a.block_stride + m % kBlock;
  } else {
    return a.data + static_cast<std::size_t>(m) * a.row_stride;
  }
}

/// One column strip of NV vectors: rows in steps of ROWS, then the rest.
template <int ROWS, int NV, bool TRANSPOSED>
HWY_INLINE void strip(const Matrix<const float>& a, const float* b, std::size_t b_row,
                      float* const* c, std::size_t c_row, int rows, int depth, bool add,
                      Ahead* ahead) {
  float* at[NV];
  for (int n = 0; n < NV; ++n) at[n] = c[n];
  int m = 0;
  for (; m + ROWS <= rows; m += ROWS) {
    micro<ROWS, NV, TRANSPOSED>(row_of<TRANSPOSED>(a, m), a.row_stride, a.block_stride, b, b_row,
                                at, c_row, depth, add);
    for (int n = 0; n < NV; ++n) at[n] += ROWS * c_row;
    if (ahead != nullptr) ahead->some();
  }
  if constexpr (ROWS > 1) {
    if (m < rows) {
      Matrix<const float> rest = a;
      rest.data = row_of<TRANSPOSED>(a, m);
      // With TRANSPOSED the rest must not cross a block: ROWS divides kBlock and rows are padded.
      strip<ROWS / 2, NV, TRANSPOSED>(rest, b, b_row, at, c_row, rows - m, depth, add, ahead);
    }
  }
}

/// C [rows x columns] = or += A [rows x depth] B [depth x columns]; depth and columns multiples of
/// kBlock, B dense with rows of b_row. `ahead`, if any, is called on the way.
template <bool TRANSPOSED>
HWY_INLINE void multiply(const Matrix<const float>& a, const float* b, std::size_t b_row,
                         const Matrix<float>& c, int rows, int columns, int depth, bool add,
                         Ahead* ahead) {
  const int vectors = columns / kLanes;
  for (int v = 0; v < vectors;) {
    float* at[4];
    // Two strips of two beat one of three and one of one.
    const int rest = vectors - v;
    const int take = rest == 4 || rest == 2 ? 2 : rest >= 3 ? 3 : 1;
    for (int n = 0; n < take; ++n) {
      const int column = (v + n) * kLanes;
      at[n] = c.data + static_cast<std::size_t>(column / kBlock) * c.block_stride + column % kBlock;
    }
    const float* from = b + v * kLanes;
    if (take == 3) {
      strip<4, 3, TRANSPOSED>(a, from, b_row, at, c.row_stride, rows, depth, add, ahead);
    } else if (take == 2) {
      strip<TRANSPOSED ? 4 : 6, 2, TRANSPOSED>(a, from, b_row, at, c.row_stride, rows, depth, add,
                                               ahead);
    } else {
      strip<8, 1, TRANSPOSED>(a, from, b_row, at, c.row_stride, rows, depth, add, ahead);
    }
    v += take;
  }
}

/// Steps in which a product is computed, about: how often it calls its Ahead.
constexpr int micro_steps(int rows, int columns) {
  return (rows + 4) / 5 * ((columns / kLanes + 2) / 3);
}

/// C = or += A B, A [rows x depth].
HWY_INLINE void product(const Matrix<const float>& a, const float* b, std::size_t b_row,
                        const Matrix<float>& c, int rows, int columns, int depth, bool add,
                        Ahead* ahead = nullptr) {
  multiply<false>(a, b, b_row, c, rows, columns, depth, add, ahead);
}

/// C += A^T B, A [depth x rows], B [depth x columns] with any depth: a weight gradient.
HWY_INLINE void add_transposed_product(const Matrix<const float>& a, const float* b,
                                       std::size_t b_row, float* c, int rows, int columns,
                                       int depth, Ahead* ahead = nullptr) {
  multiply<true>(a, b, b_row, {c, static_cast<std::size_t>(columns), kBlock}, rows, columns, depth,
                 true, ahead);
}

}  // namespace HWY_NAMESPACE
}  // namespace renas::onednn
HWY_AFTER_NAMESPACE();

#endif  // RENAS_GEMM_INL_H_
