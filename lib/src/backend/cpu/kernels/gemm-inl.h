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

/// Narrow vectors in a wide one: two with AVX-512, whose processors mostly multiply 16 lanes as
/// fast as 8; one elsewhere.
constexpr int kNarrow = static_cast<int>(hn::MaxLanes(wide)) / kLanes;

/// Loads a vector from the places of its narrow vectors, or stores it there.
HWY_INLINE V load_blocks(decltype(d), const float* const* at, std::size_t offset) {
  return load(at[0] + offset);
}
HWY_INLINE void store_blocks(V v, decltype(d), float* const* at, std::size_t offset) {
  store(v, at[0] + offset);
}
HWY_INLINE V narrow(V v) { return v; }
#if HWY_TARGET <= HWY_AVX3  // better targets have smaller numbers
static_assert(kNarrow == 2);
HWY_INLINE V narrow(W v) { return hn::LowerHalf(d, v); }
HWY_INLINE W load_blocks(decltype(wide), const float* const* at, std::size_t offset) {
  return hn::Combine(wide, load(at[1] + offset), load(at[0] + offset));
}
HWY_INLINE void store_blocks(W v, decltype(wide), float* const* at, std::size_t offset) {
  store(hn::LowerHalf(d, v), at[0] + offset);
  store(hn::UpperHalf(d, v), at[1] + offset);
}
#else
static_assert(kNarrow == 1);
#endif

// Where a product's results go, straight from the registers. `to.strip<NV>(v)` is the strip of NV
// narrow vectors of columns from vector v on: start(tag, m, n) gives the first value of row m's sum
// from the n-th of them on, put(sum, tag, m, n) takes the result, and down(rows) moves on.

/// C = A B or, with `add`, C += A B. C is dense.
struct Store {
  float* c;
  std::size_t row;
  bool add;

  template <int NV>
  struct Strip {
    float* c;
    std::size_t row;
    bool add;
    template <class Tag>
    HWY_INLINE hn::Vec<Tag> start(Tag tag, int m, int n) const {
      return add ? load(tag, c + m * row + n * kLanes) : hn::Zero(tag);
    }
    template <class Tag>
    HWY_INLINE void put(hn::Vec<Tag> v, Tag tag, int m, int n) const {
      store(v, tag, c + m * row + n * kLanes);
    }
    HWY_INLINE void down(int rows) { c += rows * row; }
  };
  template <int NV>
  HWY_INLINE Strip<NV> strip(int v) const {
    return {c + v * kLanes, row, add};
  }
};

/// C = A B, where C may be blocked.
struct StoreBlocks {
  Matrix<float> c;

  template <int NV>
  struct Strip {
    float* at[NV];
    std::size_t row;
    template <class Tag>
    HWY_INLINE hn::Vec<Tag> start(Tag tag, int, int) const {
      return hn::Zero(tag);
    }
    template <class Tag>
    HWY_INLINE void put(hn::Vec<Tag> v, Tag tag, int m, int n) const {
      store_blocks(v, tag, at + n, m * row);
    }
    HWY_INLINE void down(int rows) {
      for (int n = 0; n < NV; ++n) at[n] += rows * row;
    }
  };
  template <int NV>
  HWY_INLINE Strip<NV> strip(int v) const {
    Strip<NV> s;
    for (int n = 0; n < NV; ++n) s.at[n] = vector_of(c, v + n);
    s.row = c.row_stride;
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
    template <class Tag>
    HWY_INLINE hn::Vec<Tag> start(Tag tag, int m, int n) const {
      return addend != nullptr ? load(tag, addend + m * row + n * kLanes) : hn::Zero(tag);
    }
    template <class Tag>
    HWY_INLINE void put(hn::Vec<Tag> v, Tag tag, int m, int n) const {
      store(v, tag, c + m * row + n * kLanes);
    }
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
    template <class Tag>
    HWY_INLINE hn::Vec<Tag> start(Tag tag, int, int) const {
      return hn::Zero(tag);
    }
    template <class Tag>
    HWY_INLINE void put(hn::Vec<Tag> v, Tag tag, int m, int n) const {
      if (activated[n] != nullptr) {
        const auto s = load_blocks(tag, activated + n, m * activated_row);
        v = hn::IfThenElseZero(hn::Gt(s, hn::Zero(tag)), v);
      }
      T* to = c + m * row + n * kLanes;
      if (accumulate) v = hn::Add(v, load(tag, to));
      store(v, tag, to);
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

/// Computes ROWS rows of NW wide vectors of A B, and NV narrow ones behind them, keeping the sums
/// in registers over all `depth` steps. TRANSPOSED: A is stored transposed, so element (m, k) is
/// taken from row k, column m. The rows must then lie within one block.
template <int ROWS, int NW, int NV, bool TRANSPOSED, class Strip>
HWY_INLINE void micro(const float* a, std::size_t a_row, std::size_t a_block, const float* b,
                      std::size_t b_row, const Strip& to, int depth) {
  constexpr int kWide = kNarrow * kLanes;
  // Neither array is empty, so that both exist.
  W sums[ROWS][NW + 1];
  V rest[ROWS][NV + 1];
#pragma GCC unroll 16
  for (int m = 0; m < ROWS; ++m) {
#pragma GCC unroll 4
    for (int n = 0; n < NW; ++n) sums[m][n] = to.start(wide, m, n * kNarrow);
#pragma GCC unroll 4
    for (int n = 0; n < NV; ++n) rest[m][n] = to.start(d, m, NW * kNarrow + n);
  }
  // Adds the products of one step: the row of B, and element (m, k) of A at of_a[m * next].
  const auto step = [&](const float* of_a, std::size_t next) HWY_ATTR
      __attribute__((always_inline)) {
    W bw[NW + 1];
    V bv[NV + 1];
#pragma GCC unroll 4
    for (int n = 0; n < NW; ++n) bw[n] = load(wide, b + n * kWide);
#pragma GCC unroll 4
    for (int n = 0; n < NV; ++n) bv[n] = load(b + NW * kWide + n * kLanes);
#pragma GCC unroll 16
    for (int m = 0; m < ROWS; ++m) {
      // One broadcast serves both, since it costs a load.
      const W av = hn::Set(wide, of_a[m * next]);
#pragma GCC unroll 4
      for (int n = 0; n < NW; ++n) sums[m][n] = hn::MulAdd(av, bw[n], sums[m][n]);
#pragma GCC unroll 4
      for (int n = 0; n < NV; ++n) rest[m][n] = hn::MulAdd(narrow(av), bv[n], rest[m][n]);
    }
    b += b_row;
  };
  if constexpr (TRANSPOSED) {
    for (int k = 0; k < depth; ++k, a += a_row) step(a, 1);
  } else {
    for (int k = 0; k < depth; k += kBlock, a += a_block) {
// Unrolled, this loop would make the compiler load B again for every row.
#pragma GCC unroll 1
      for (int kk = 0; kk < kBlock; ++kk) step(a + kk, a_row);
    }
  }
#pragma GCC unroll 16
  for (int m = 0; m < ROWS; ++m) {
#pragma GCC unroll 4
    for (int n = 0; n < NW; ++n) to.put(sums[m][n], wide, m, n * kNarrow);
#pragma GCC unroll 4
    for (int n = 0; n < NV; ++n) to.put(rest[m][n], d, m, NW * kNarrow + n);
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

/// Computes one strip of NW wide vectors of columns and NV narrow ones, from vector v on, and moves
/// v on: rows in steps of ROWS, then the rest in smaller steps.
template <int ROWS, int NW, int NV, bool TRANSPOSED, class Strip>
HWY_INLINE void rows_of_strip(const Matrix<const float>& a, const float* b, std::size_t b_row,
                              Strip to, int rows, int depth, Prefetcher* prefetcher) {
  int m = 0;
  for (; m + ROWS <= rows; m += ROWS) {
    micro<ROWS, NW, NV, TRANSPOSED>(row_of<TRANSPOSED>(a, m), a.row_stride, a.block_stride, b,
                                    b_row, to, depth);
    to.down(ROWS);
    if (prefetcher != nullptr) prefetcher->issue();
  }
  if constexpr (ROWS > 1) {
    if (m < rows) {
      Matrix<const float> rest = a;
      rest.data = row_of<TRANSPOSED>(a, m);
      // With TRANSPOSED the rest must not cross a block: ROWS divides kBlock and rows are padded.
      rows_of_strip<ROWS / 2, NW, NV, TRANSPOSED>(rest, b, b_row, to, rows - m, depth, prefetcher);
    }
  }
}
template <int ROWS, int NW, int NV, bool TRANSPOSED, class To>
HWY_INLINE void strip(const Matrix<const float>& a, const float* b, std::size_t b_row, const To& to,
                      int& v, int rows, int depth, Prefetcher* prefetcher) {
  constexpr int kVectors = NW * kNarrow + NV;
  rows_of_strip<ROWS, NW, NV, TRANSPOSED>(a, b + v * kLanes, b_row, to.template strip<kVectors>(v),
                                          rows, depth, prefetcher);
  v += kVectors;
}

/// Rows that are computed at once, and wide and narrow vectors of columns.
template <int ROWS, int WIDE, int NARROW>
struct StripForm {
  static constexpr int kRows = ROWS;
  static constexpr int kWide = WIDE;
  static constexpr int kNarrow = NARROW;
};

/// Computes A [rows x depth] B [depth x columns] into `to`. `depth` and `columns` are multiples of
/// kBlock; B is dense with rows of b_row. `prefetcher`, if any, issues on the way.
template <bool TRANSPOSED, class To>
HWY_INLINE void multiply(const Matrix<const float>& a, const float* b, std::size_t b_row,
                         const To& to, int rows, int columns, int depth, Prefetcher* prefetcher) {
  const int vectors = columns / kLanes;
  const auto next = [&](auto form, int& v) HWY_ATTR {
    using Form = decltype(form);
    strip<Form::kRows, Form::kWide, Form::kNarrow, TRANSPOSED>(a, b, b_row, to, v, rows, depth,
                                                               prefetcher);
  };
  for (int v = 0; v < vectors;) {
    const int rest = vectors - v;
    if constexpr (kNarrow == 2) {
      // 32 registers. At least eight sums, so that none waits for its own last addition.
      if (rest >= 6) {
        next(StripForm<8, 3, 0>(), v);
      } else if (rest == 5) {
        next(StripForm<8, 2, 1>(), v);
      } else if (rest == 4) {
        next(StripForm<8, 2, 0>(), v);
      } else if (rest == 3) {
        next(StripForm<8, 1, 1>(), v);
      } else if (rest == 2) {
        next(StripForm < TRANSPOSED ? 8 : 16, 1, 0 > (), v);
      } else {
        next(StripForm<8, 0, 1>(), v);
      }
    } else if (rest == 4 || rest == 2) {
      // Two strips of two vectors are faster than one of three and one of one.
      next(StripForm < TRANSPOSED ? 4 : 6, 0, 2 > (), v);
    } else if (rest >= 3) {
      next(StripForm<4, 0, 3>(), v);
    } else {
      next(StripForm<8, 0, 1>(), v);
    }
  }
}

/// About how often a product of this size calls Prefetcher::issue().
constexpr int micro_steps(int rows, int columns) {
  const int vectors = columns / kLanes;
  if (kNarrow == 2) return (rows + 7) / 8 * ((vectors + 5) / 6);
  return (rows + 4) / 5 * ((vectors + 2) / 3);
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
  multiply<true>(a, b, b_row, Store{c, static_cast<std::size_t>(columns), true}, rows, columns,
                 depth, prefetcher);
}

}  // namespace HWY_NAMESPACE
}  // namespace renas::cpu
HWY_AFTER_NAMESPACE();

#endif  // RENAS_GEMM_INL_H_
