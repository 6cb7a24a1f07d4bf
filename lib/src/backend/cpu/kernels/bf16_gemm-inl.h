// Matrix products of bfloat16 pairs on tiles that lie in cache, and the sums that go with them. For
// one target alone, as bf16_vector-inl.h.
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

/// Dense rows of bfloat16 as an operand.
HWY_INLINE Operand rows_of(const Bfloat16* rows, int channels) {
  return {reinterpret_cast<const float*>(rows), static_cast<std::size_t>(channels) / 2, 1};
}

// Where a product's results go. `start(tag, m, c)` gives the sums of row m their first values from
// column c on; `put<ROWS>(results, m, c)` takes ROWS rows from row m on. Each strip of columns goes
// from the first row to the last, between begin(c, columns) and end(c, columns, rows).

struct Sink {
  template <class D>
  HWY_INLINE hn::Vec<D> start(D d, int, int) const {
    return hn::Zero(d);
  }
  HWY_INLINE void begin(int, int) {}
  HWY_INLINE void end(int, int, int) {}
};

/// Dense rows of floats. With `add`, results are added to what is there.
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
    // ROWS is 16, 8, 4, 2 or 1.
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
  to.begin(column, kColumns);
  rows_of_strip<ROWS, NZ, TAIL>(a, 0, rows, b + column, b_row, column, steps, to, prefetcher);
  to.end(column, kColumns, rows);
  column += kColumns;
}

/// Computes A B into `to`: A has `rows` rows of `steps` pairs, B `steps` dense rows of `columns`
/// pairs.
template <class To>
HWY_INLINE void multiply(const Operand& a, int rows, const float* b, int columns, int steps, To to,
                         Prefetcher& prefetcher) {
  const std::size_t b_row = columns;
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
constexpr int micro_steps(int rows, int columns, int depth) {
  return (rows + 7) / 8 * ((columns + 47) / 48) * ((depth + kChunk - 1) / kChunk);
}

/// Packs weights [rows][columns], with an even number of rows, as B: pairs of one row and the next.
HWY_INLINE void pack_weights(const float* weights, int rows, int columns, float* to) {
  for (int k = 0; k < rows; k += 2, weights += 2 * columns, to += columns) {
    each_vector(columns, [&](auto d, int c) RENAS_BF16_ATTR {
      put(pair(hn::LoadU(d, weights + c), hn::LoadU(d, weights + columns + c)), to + c);
    });
  }
}

/// Stores `count` pixels as rows of bfloat16, `row` numbers apart, and the same numbers as columns:
/// pairs of one pixel and the next, `column` floats apart. An odd last pixel is paired with zeros.
/// `value(pixel)` gives a vector of channels; `columns` may be nullptr.
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

/// Computes the gradients with respect to the output (see OutputMap) of `count` pixels from offset
/// `at` on, as rows and as columns.
HWY_INLINE void raw_gradients(const OutputMap& o, std::size_t at, int count, Bfloat16* rows,
                              float* columns) {
  const std::size_t channels = o.map.channels;
  each_vector(o.map.channels, [&](auto d, int c) RENAS_BF16_ATTR {
    const Bfloat16* gradient = o.gradient.as<Bfloat16>() + at + c;
    const auto step = static_cast<std::ptrdiff_t>(channels);
    if (o.dy_scale == nullptr) {
      return put_pixels(
          d, count, channels, channels,
          [&](int p) RENAS_BF16_ATTR { return load(d, gradient + p * step); }, rows + c,
          columns + c);
    }
    const Bfloat16* value = o.data.as<Bfloat16>() + at + c;
    const auto dy_scale = hn::LoadU(d, o.dy_scale + c);
    const auto x_scale = hn::LoadU(d, o.x_scale + c);
    const auto offset = hn::LoadU(d, o.offset + c);
    put_pixels(
        d, count, channels, channels,
        [&](int p) RENAS_BF16_ATTR {
          const auto rest = hn::MulAdd(x_scale, load(d, value + p * step), offset);
          return hn::MulAdd(dy_scale, load(d, gradient + p * step), rest);
        },
        rows + c, columns + c);
  });
}

/// Two sums over pixels, for one vector of channels.
template <class D>
struct Sums {
  hn::Vec<D> of_a;
  hn::Vec<D> of_products;
};

/// Sums a and a b over `pixels` pixels of `channels`, two pixels a dot product.
template <class D>
HWY_INLINE Sums<D> sums_of(D d, const Bfloat16* a, const Bfloat16* b, int pixels,
                           std::size_t channels) {
  const auto one = ones(d);
  // Two sums each: a single one would wait for its own last addition.
  auto sum0 = hn::Zero(d);
  auto sum1 = hn::Zero(d);
  auto product0 = hn::Zero(d);
  auto product1 = hn::Zero(d);
  int p = 0;
  for (; p + 4 <= pixels; p += 4, a += 4 * channels, b += 4 * channels) {
    const auto a0 = pair_at(d, a, a + channels);
    const auto a1 = pair_at(d, a + 2 * channels, a + 3 * channels);
    sum0 = dot(sum0, a0, one);
    sum1 = dot(sum1, a1, one);
    product0 = dot(product0, a0, pair_at(d, b, b + channels));
    product1 = dot(product1, a1, pair_at(d, b + 2 * channels, b + 3 * channels));
  }
  for (; p < pixels; ++p, a += channels, b += channels) {
    const auto value = load(d, a);
    sum0 = hn::Add(sum0, value);
    product0 = hn::MulAdd(value, load(d, b), product0);
  }
  return {hn::Add(sum0, sum1), hn::Add(product0, product1)};
}

template <class D>
HWY_INLINE void add_to(D d, hn::Vec<D> v, float* to) {
  hn::StoreU(hn::Add(hn::LoadU(d, to), v), d, to);
}

// Both kinds of sums are taken around zero and moved to their centre tile by tile. A tile has so
// few pixels that float32 is precise enough for sums of bfloat16 numbers.

/// Adds the statistics of `pixels` stored pixels from offset `at` on, if they are wanted.
HWY_INLINE void accumulate_statistics(const OutputMap& o, std::size_t at, int pixels, float* sums) {
  if (o.centre == nullptr || sums == nullptr) return;
  const std::size_t channels = o.map.channels;
  each_vector(o.map.channels, [&](auto d, int c) RENAS_BF16_ATTR {
    const Bfloat16* v = o.data.as<Bfloat16>() + at + c;
    const auto [about_zero, squares] = sums_of(d, v, v, pixels, channels);
    const auto k = hn::LoadU(d, o.centre + c);
    const auto count = hn::Set(d, static_cast<float>(pixels));
    const auto sum = hn::NegMulAdd(count, k, about_zero);
    add_to(d, sum, sums + c);
    add_to(d, hn::NegMulAdd(k, hn::Add(about_zero, sum), squares), sums + channels + c);
  });
}

/// Adds a batch norm's backward sums (see NormSumsArgs) of `pixels` pixels from offset `at` on, if
/// the view wants them.
HWY_INLINE void accumulate_norm_sums(const InputView& s, std::size_t at, int pixels,
                                     float* partial) {
  if (s.mean == nullptr) return;
  const std::size_t channels = s.map.channels;
  each_vector(s.map.channels, [&](auto d, int c) RENAS_BF16_ATTR {
    const Bfloat16* g = s.gradient.as<Bfloat16>() + at + c;
    const Bfloat16* v = s.data.as<Bfloat16>() + at + c;
    const auto [sum, products] = sums_of(d, g, v, pixels, channels);
    float* to = partial + s.sums + c;
    add_to(d, sum, to);
    add_to(d, hn::NegMulAdd(sum, hn::LoadU(d, s.mean + c), products), to + channels);
  });
}

/// Divides memory into parts that begin at cache lines. Constructed with nullptr, it only counts.
template <class T>
class Parts {
 public:
  explicit Parts(T* memory) : memory_(memory) {}
  T* take(std::size_t floats) {
    T* part = memory_ == nullptr ? nullptr : memory_ + taken_;
    taken_ += (floats + 15) / 16 * 16;
    return part;
  }
  Bfloat16* take_bf16(std::size_t count) {
    return reinterpret_cast<Bfloat16*>(take((count + 1) / 2));
  }
  std::size_t taken() const { return taken_; }

 private:
  T* memory_;
  std::size_t taken_ = 0;
};

}  // namespace bf16
}  // namespace HWY_NAMESPACE
}  // namespace renas::cpu
HWY_AFTER_NAMESPACE();

#endif  // RENAS_BF16_GEMM_INL_H_
