// What lies around the matrix products of bfloat16 pairs: operands are packed, and sums taken. For
// one target alone, as bf16_vector-inl.h.
#ifndef RENAS_BF16_OPERANDS_INL_H_
#define RENAS_BF16_OPERANDS_INL_H_

#include "backend/cpu/kernels/bf16_gemm-inl.h"

RENAS_BF16_BEFORE_NAMESPACE();
namespace renas::cpu {
namespace HWY_NAMESPACE {
namespace bf16 {

/// The floats of packed weights.
constexpr std::size_t packed_weights(int rows, int columns) {
  return static_cast<std::size_t>(rows / 2) * pair_row(columns);
}

/// Packs weights [rows][columns], with an even number of rows, as pairs of one row and the next.
HWY_INLINE void pack_weights(const float* weights, int rows, int columns, float* to) {
  for (int k = 0; k < rows; k += 2, weights += 2 * columns, to += pair_row(columns)) {
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
  const std::size_t row = bf16_row(o.map.channels);
  const std::size_t column = pair_row(o.map.channels);
  each_vector(o.map.channels, [&](auto d, int c) RENAS_BF16_ATTR {
    const Bfloat16* gradient = o.gradient.as<Bfloat16>() + at + c;
    const auto step = static_cast<std::ptrdiff_t>(channels);
    if (o.dy_scale == nullptr) {
      return put_pixels(
          d, count, row, column,
          [&](int p) RENAS_BF16_ATTR { return load(d, gradient + p * step); }, rows + c,
          columns + c);
    }
    const Bfloat16* value = o.data.as<Bfloat16>() + at + c;
    const auto dy_scale = hn::LoadU(d, o.dy_scale + c);
    const auto x_scale = hn::LoadU(d, o.x_scale + c);
    const auto offset = hn::LoadU(d, o.offset + c);
    put_pixels(
        d, count, row, column,
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

#endif  // RENAS_BF16_OPERANDS_INL_H_
