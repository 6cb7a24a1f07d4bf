// Small matrix products on tiles that lie in cache (GEMM). Per-target toggle, see vector-inl.h.
#if defined(RENAS_GEMM_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef RENAS_GEMM_INL_H_
#undef RENAS_GEMM_INL_H_
#else
#define RENAS_GEMM_INL_H_
#endif

#include "backend/cpu/kernels/prefetcher.h"
#include "backend/cpu/kernels/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace renas::cpu {
namespace HWY_NAMESPACE {

/// A matrix whose element (row, column) lies at row * row_stride + column / kBlock * block_stride +
/// column % kBlock. This covers dense rows (block_stride = kBlock) and blocked tiles (row_stride =
/// kBlock).
template <class T>
struct Matrix {
  T* data;
  std::size_t row_stride;
  std::size_t block_stride;
};

template <class T>
HWY_INLINE T* vector_of(const Matrix<T>& m, int vector) {
  const int column = vector * kLanes;
  return m.data + (column / kBlock) * m.block_stride + column % kBlock;
}

// Where a product's results go, straight from the registers. `to.strip<NV>(v)` is the strip of NV
// vectors of columns from vector v on: start(m, n) gives the first value of row m's n-th sum,
// put(v, m, n) takes the result, and down(rows) moves on.

/// C = A B or, with `add`, C += A B.
struct Store {
  Matrix<float> c;
  bool add;

  template <int NV>
  struct Strip {
    float* at[NV];
    std::size_t row;
    bool add;
    HWY_INLINE V start(int m, int n) const { return add ? load(at[n] + m * row) : zero(); }
    HWY_INLINE void put(V v, int m, int n) const { store(v, at[n] + m * row); }
    HWY_INLINE void down(int rows) {
      for (int n = 0; n < NV; ++n) at[n] += rows * row;
    }
  };
  template <int NV>
  HWY_INLINE Strip<NV> strip(int v) const {
    Strip<NV> s;
    for (int n = 0; n < NV; ++n) s.at[n] = vector_of(c, v + n);
    s.row = c.row_stride;
    s.add = add;
    return s;
  }
};

/// C = A B or, with an `addend`, C = addend + A B, rounded to bfloat16. Both are dense.
struct StoreBf16 {
  Bfloat16* c;
  std::size_t row;
  const float* addend;  // nullptr: none

  template <int NV>
  struct Strip {
    Bfloat16* c;
    std::size_t row;
    const float* addend;
    HWY_INLINE V start(int m, int n) const {
      return addend != nullptr ? load(addend + m * row + n * kLanes) : zero();
    }
    HWY_INLINE void put(V v, int m, int n) const { store(v, c + m * row + n * kLanes); }
    HWY_INLINE void down(int rows) {
      c += rows * row;
      if (addend != nullptr) addend += rows * row;
    }
  };
  template <int NV>
  HWY_INLINE Strip<NV> strip(int v) const {
    return {c + v * kLanes, row, addend != nullptr ? addend + v * kLanes : nullptr};
  }
};

/// Stores input gradients in dense rows: masked by ReLU where `activated` is given, and added to
/// what is there if `accumulate`.
template <class T>
struct StoreGradient {
  T* c;
  std::size_t row;
  Matrix<const float> activated;  // the input as the group read it; null: no ReLU
  bool accumulate;

  template <int NV>
  struct Strip {
    T* c;
    std::size_t row;
    const float* activated[NV];
    std::size_t activated_row;
    bool accumulate;
    HWY_INLINE V start(int, int) const { return zero(); }
    HWY_INLINE void put(V v, int m, int n) const {
      if (activated[n] != nullptr) {
        const V s = load(activated[n] + m * activated_row);
        v = hn::IfThenElseZero(hn::Gt(s, zero()), v);
      }
      T* to = c + m * row + n * kLanes;
      if (accumulate) v = hn::Add(v, load(to));
      store(v, to);
    }
    HWY_INLINE void down(int rows) {
      c += rows * row;
      for (int n = 0; n < NV && activated[0] != nullptr; ++n) {
        activated[n] += rows * activated_row;
      }
    }
  };
  template <int NV>
  HWY_INLINE Strip<NV> strip(int v) const {
    Strip<NV> s;
    s.c = c + v * kLanes;
    s.row = row;
    for (int n = 0; n < NV; ++n) {
      s.activated[n] = activated.data != nullptr ? vector_of(activated, v + n) : nullptr;
    }
    s.activated_row = activated.row_stride;
    s.accumulate = accumulate;
    return s;
  }
};

/// Computes ROWS rows of NV vectors of A B, keeping the sums in registers over all `depth` steps.
/// TRANSPOSED: A is stored transposed, so element (m, k) is taken from row k, column m. The rows
/// must then lie within one block.
template <int ROWS, int NV, bool TRANSPOSED, class Strip>
HWY_INLINE void micro(const float* a, std::size_t a_row, std::size_t a_block, const float* b,
                      std::size_t b_row, const Strip& to, int depth) {
  V acc[ROWS][NV];
#pragma GCC unroll 16
  for (int m = 0; m < ROWS; ++m) {
#pragma GCC unroll 4
    for (int n = 0; n < NV; ++n) acc[m][n] = to.start(m, n);
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
// Unrolled, this loop would make the compiler load B again for every row.
#pragma GCC unroll 1
      for (int kk = 0; kk < kBlock; ++kk) {
        V bv[NV];
#pragma GCC unroll 4
        for (int n = 0; n < NV; ++n) bv[n] = load(b + n * kLanes);
#pragma GCC unroll 16
        for (int m = 0; m < ROWS; ++m) {
          const V av = hn::Set(d, a[m * a_row + kk]);
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
    for (int n = 0; n < NV; ++n) to.put(acc[m][n], m, n);
  }
}

template <bool TRANSPOSED>
HWY_INLINE const float* row_of(const Matrix<const float>& a, int m) {
  if constexpr (TRANSPOSED) {
    return a.data + (m / kBlock) * a.block_stride + m % kBlock;
  } else {
    return a.data + m * a.row_stride;
  }
}

/// Computes one strip of NV vectors of columns: rows in steps of ROWS, then the rest in smaller
/// steps.
template <int ROWS, int NV, bool TRANSPOSED, class Strip>
HWY_INLINE void strip(const Matrix<const float>& a, const float* b, std::size_t b_row, Strip to,
                      int rows, int depth, Prefetcher* prefetcher) {
  int m = 0;
  for (; m + ROWS <= rows; m += ROWS) {
    micro<ROWS, NV, TRANSPOSED>(row_of<TRANSPOSED>(a, m), a.row_stride, a.block_stride, b, b_row,
                                to, depth);
    to.down(ROWS);
    if (prefetcher != nullptr) prefetcher->issue();
  }
  if constexpr (ROWS > 1) {
    if (m < rows) {
      Matrix<const float> rest = a;
      rest.data = row_of<TRANSPOSED>(a, m);
      // With TRANSPOSED the rest must not cross a block: ROWS divides kBlock and rows are padded.
      strip<ROWS / 2, NV, TRANSPOSED>(rest, b, b_row, to, rows - m, depth, prefetcher);
    }
  }
}

/// Computes A [rows x depth] B [depth x columns] into `to`. `depth` and `columns` are multiples of
/// kBlock; B is dense with rows of b_row. `prefetcher`, if any, issues on the way.
template <bool TRANSPOSED, class To>
HWY_INLINE void multiply(const Matrix<const float>& a, const float* b, std::size_t b_row,
                         const To& to, int rows, int columns, int depth, Prefetcher* prefetcher) {
  const int vectors = columns / kLanes;
  for (int v = 0; v < vectors;) {
    // Two strips of two vectors are faster than one of three and one of one.
    const int rest = vectors - v;
    const int take = rest == 4 || rest == 2 ? 2 : rest >= 3 ? 3 : 1;
    const float* from = b + v * kLanes;
    if (take == 3) {
      strip<4, 3, TRANSPOSED>(a, from, b_row, to.template strip<3>(v), rows, depth, prefetcher);
    } else if (take == 2) {
      strip<TRANSPOSED ? 4 : 6, 2, TRANSPOSED>(a, from, b_row, to.template strip<2>(v), rows, depth,
                                               prefetcher);
    } else {
      strip<8, 1, TRANSPOSED>(a, from, b_row, to.template strip<1>(v), rows, depth, prefetcher);
    }
    v += take;
  }
}

/// About how often a product of this size calls Prefetcher::issue().
constexpr int micro_steps(int rows, int columns) {
  return (rows + 4) / 5 * ((columns / kLanes + 2) / 3);
}

/// A B, with A [rows x depth].
template <class To>
HWY_INLINE void product(const Matrix<const float>& a, const float* b, std::size_t b_row,
                        const To& to, int rows, int columns, int depth,
                        Prefetcher* prefetcher = nullptr) {
  multiply<false>(a, b, b_row, to, rows, columns, depth, prefetcher);
}

/// C += A^T B, with A [depth x rows] and B [depth x columns] of any depth: a weight gradient.
HWY_INLINE void add_transposed_product(const Matrix<const float>& a, const float* b,
                                       std::size_t b_row, float* c, int rows, int columns,
                                       int depth, Prefetcher* prefetcher = nullptr) {
  multiply<true>(a, b, b_row, Store{{c, static_cast<std::size_t>(columns), kBlock}, true}, rows,
                 columns, depth, prefetcher);
}

}  // namespace HWY_NAMESPACE
}  // namespace renas::cpu
HWY_AFTER_NAMESPACE();

#endif  // RENAS_GEMM_INL_H_
