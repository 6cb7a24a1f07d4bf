#include "backend/onednn/kernels/pairs.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/onednn/kernels/separable_pairs.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h:
#include "backend/onednn/kernels/depthwise-inl.h"

#if HWY_TARGET == HWY_AVX3
#include "backend/onednn/kernels/pairs-inl.h"
#include "backend/onednn/kernels/separable_plan.h"

// Everything that a depthwise convolution reads lies in rows of pairs: of every pixel, for each of
// a block's channels, its number and the next pixel's. Then a kernel's taps go two at a time, and a
// vector of two pixels is one load at a whole line. A picture that is read with a stride of 2 has
// the pairs of its even columns only (the window's reach beyond the map counted): the next output's
// is the next pair.

RENAS_PAIRS_BEFORE_NAMESPACE();
namespace renas::onednn {
namespace HWY_NAMESPACE {
namespace pairs {

constexpr int kAtOnce = 2;  // pixels of a block in a vector
constexpr int kVector = kAtOnce * kBlock;

constexpr int even(int n) { return (n + 1) / 2 * 2; }

/// How scratch is divided; the rings are SeparablePlan's, rows widened to what whole vectors reach.
struct PairPlan : SeparablePlan {
  PairPlan(const SeparableArgs& args, float* scratch) : SeparablePlan(args), parts(scratch) {
    const Map& in = args.in.map;
    const Map& out = args.out.map;
    const WindowArgs& w = args.window;
    taps = (w.width + 1) / 2;
    stride = w.stride;
    first_in = stride == 1 ? w.left - 1 : w.left / 2;
    last_in = (w.left + in.width - 1) / stride;
    const int reach = 2 * taps + 1;
    width_in = even(std::max(last_in + 2, even(out.width) + reach));
    width_out = even(lead + std::max(out.width, (w.left + in.width) / stride + 1) + reach);
    plane_in = static_cast<std::size_t>(rows_in * width_in) * kBlock;
    plane_out = static_cast<std::size_t>(rows_out * width_out) * kBlock;
    row_pairs = (out.width + 1) / 2;
    weights = static_cast<std::size_t>(w.height * taps) * kVector;
    const auto count = static_cast<std::size_t>(blocks);
    const auto pixels = static_cast<std::size_t>(tile_rows * out.width);
    const auto pixel_pairs = static_cast<std::size_t>(tile_rows * row_pairs);
    const auto in_channels = static_cast<std::size_t>(in.channels);
    const auto out_channels = static_cast<std::size_t>(out.channels);
    picture = parts.take(plane_in * count);
    gradients = parts.take(plane_out * count);
    // Rows have room for a pixel more: vectors are of two.
    tile_halves = parts.take_halves((pixels + 1) * in_channels);
    tile_columns = parts.take(pixel_pairs * in_channels);
    gradient_rows = parts.take_halves(pixels * out_channels);
    gradient_columns = parts.take(pixel_pairs * out_channels);
    depthwise = parts.take(weights * count);
    depthwise_flipped = parts.take(weights * count);
    pointwise = parts.take(in_channels * out_channels / 2);
  }

  Parts parts;
  int taps;  // pairs of a kernel's row
  int stride;
  int first_in;  // pairs [first_in, last_in] of a picture's row say something of the map
  int last_in;
  int row_pairs;  // pairs of an output row's pixels
  float* picture;
  float* gradients;
  Bfloat16* tile_halves;
  float* tile_columns;
  Bfloat16* gradient_rows;
  float* gradient_columns;
  float* depthwise;  // [block][kernel row][pair of taps][two pixels][channel]
  // Likewise; with a stride of 2 [block][even or odd columns][kernel row][...].
  float* depthwise_flipped;
  float* pointwise;
};

std::size_t separable_scratch(const SeparableArgs& args) {
  return PairPlan(args, nullptr).parts.taken();
}

/// Pairs of a block's taps, [kernel row][column][channel] in: columns `first`, first + every, ...;
/// each pair twice. Returns where the next ones go.
HWY_INLINE float* pack_taps(const WindowArgs& w, const float* kernel, int first, int every,
                            float* to) {
  for (int row = 0; row < w.height; ++row, kernel += w.width * kBlock) {
    const auto tap = [&](int column) RENAS_PAIRS_ATTR {
      return column < w.width ? hn::LoadU(d8, kernel + column * kBlock) : hn::Zero(d8);
    };
    for (int column = first; column < w.width; column += 2 * every, to += kVector) {
      const P8 both = pair(tap(column), tap(column + every));
      put(both, to);
      put(both, to + kBlock);
    }
  }
  return to;
}

HWY_INLINE void pack_forward(const SeparableArgs& args, const PairPlan& plan) {
  const int kernel = args.window.height * args.window.width * kBlock;
  for (int block = 0; block < plan.blocks; ++block) {
    pack_taps(args.window, args.depthwise + block * kernel, 0, 1,
              plan.depthwise + static_cast<std::size_t>(block) * plan.weights);
  }
}

HWY_INLINE void pack_flipped(const SeparableArgs& args, const PairPlan& plan) {
  const int kernel = args.window.height * args.window.width * kBlock;
  for (int block = 0; block < plan.blocks; ++block) {
    float* to = plan.depthwise_flipped + static_cast<std::size_t>(block) * plan.weights;
    for (int first = 0; first < plan.stride; ++first) {
      to = pack_taps(args.window, args.depthwise_flipped + block * kernel, first, plan.stride, to);
    }
  }
}

/// Pairs of one pixel to their blocks, `plane` floats apart.
HWY_INLINE void put_blocks(P16 both, float* to, std::size_t plane) {
  put(lower(both), to);
  put(upper(both), to + plane);
}
HWY_INLINE void put_blocks(P8 both, float* to, std::size_t) { put(both, to); }

/// Writes a row of pairs, of 16 channels or 8, pixel after pixel.
template <class D>
class PairWriter {
  using Vector = hn::Vec<D>;

 public:
  /// `row`: of the first block, at pixel -1; the second one's lies `plane` floats after it.
  HWY_INLINE PairWriter(float* row, std::size_t plane) : row_(row), plane_(plane) {}
  HWY_INLINE void next(Vector v) {
    const auto both = pair(last_, v);
    last_ = v;
    put_blocks(both, row_, plane_);
    row_ += kBlock;
  }
  HWY_INLINE void finish() { put_blocks(pair(last_, hn::Zero(D())), row_, plane_); }

 private:
  float* row_;
  std::size_t plane_;
  Vector last_ = hn::Zero(D());
};

/// Row y of a picture's input, which begins at `from`, normalised and cut off at zero.
HWY_INLINE void load_row(const SeparableArgs& args, const PairPlan& plan, const Bfloat16* from,
                         int y) {
  const Source& in = args.in;
  const auto step = static_cast<std::size_t>(in.map.channels);
  const int width = in.map.width;
  each_vector(in.map.channels, [&](auto d, int c) RENAS_PAIRS_ATTR {
    const auto scale = in.scale == nullptr ? hn::Set(d, 1.0F) : hn::LoadU(d, in.scale + c);
    const auto shift = in.scale == nullptr ? hn::Zero(d) : hn::LoadU(d, in.shift + c);
    const auto floor = in.relu ? hn::Zero(d) : hn::Set(d, -std::numeric_limits<float>::infinity());
    const Bfloat16* p = from + c;
    // In this order x86 returns a NaN as it is.
    const auto shown = [&](int x) RENAS_PAIRS_ATTR {
      const auto value = values(d, p + static_cast<std::size_t>(x) * step);
      return hn::Max(floor, hn::MulAdd(scale, value, shift));
    };
    if (plan.stride == 2) {
      float* to = plan.picture + plan.row_in(c / kBlock, y);
      for (int i = plan.first_in; i <= plan.last_in; ++i) {
        const int x = 2 * i - args.window.left;
        put_blocks(pair(x < 0 ? hn::Zero(d) : shown(x), x + 1 < width ? shown(x + 1) : hn::Zero(d)),
                   to + i * kBlock, plan.plane_in);
      }
      return;
    }
    PairWriter<decltype(d)> writer(
        plan.picture + plan.row_in(c / kBlock, y) + (args.window.left - 1) * kBlock, plan.plane_in);
    for (int x = 0; x < width; ++x) writer.next(shown(x));
    writer.finish();
  });
}

HWY_INLINE void load_rows(const SeparableArgs& args, const PairPlan& plan, int n, int& loaded,
                          int wanted) {
  const Map& map = args.in.map;
  const std::size_t row = static_cast<std::size_t>(map.width * map.channels);
  const Bfloat16* data = args.in.data.as<Bfloat16>() + static_cast<std::size_t>(n) * map.size();
  for (; loaded < wanted; ++loaded) {
    load_row(args, plan, data + static_cast<std::size_t>(loaded) * row, loaded);
  }
}

/// One row of outputs, X vectors of two pixels at a time, to sink.put(sums, first pixel). A pair of
/// taps meets the pairs STEP pixels after the one before it.
template <int TAPS, int STEP, int X, class Sink>
HWY_INLINE void row_block(const Rows& rows, const float* w, int& x, int width, const Sink& sink) {
  // Few chains of sums would wait for themselves.
  constexpr int kSets = X <= 4 && TAPS > 1 ? 2 : 1;
  for (; x + kAtOnce * (X - 1) < width; x += kAtOnce * X) {
    V16 sums[kSets][X];
#pragma GCC unroll 2
    for (int s = 0; s < kSets; ++s) {
#pragma GCC unroll 8
      for (int o = 0; o < X; ++o) sums[s][o] = hn::Zero(d16);
    }
    const std::ptrdiff_t from = rows.start + std::ptrdiff_t{x} * kBlock;
    for (int r = rows.first; r < rows.last; ++r) {
      if (rows.row[r] == nullptr) continue;
      const float* p = rows.row[r] + from;
      P16 taps[TAPS];
#pragma GCC unroll 4
      for (int t = 0; t < TAPS; ++t) taps[t] = load16(w + (r * TAPS + t) * kVector);
#pragma GCC unroll 32
      for (int j = 0; j <= kAtOnce * (X - 1) + STEP * (TAPS - 1); j += STEP) {
        const P16 v = load16(p + j * kBlock);
#pragma GCC unroll 4
        for (int t = 0; t < TAPS; ++t) {
          const int o = (j - STEP * t) / kAtOnce;
          if (j >= STEP * t && (j - STEP * t) % kAtOnce == 0 && o < X)
            sums[t % kSets][o] = dot(sums[t % kSets][o], v, taps[t]);
        }
      }
    }
    if constexpr (kSets == 2) {
#pragma GCC unroll 8
      for (int o = 0; o < X; ++o) sums[0][o] = hn::Add(sums[0][o], sums[1][o]);
    }
    sink.put(sums[0], x);
  }
}

template <int TAPS, int STEP, class Sink>
HWY_NOINLINE void row_of(const Rows& rows, const float* w, int width, const Sink& sink) {
  int x = 0;
  if (even(width) % 14 == 0) row_block<TAPS, STEP, 7>(rows, w, x, width, sink);
  row_block<TAPS, STEP, 8>(rows, w, x, width, sink);
  row_block<TAPS, STEP, 4>(rows, w, x, width, sink);
  row_block<TAPS, STEP, 2>(rows, w, x, width, sink);
  row_block<TAPS, STEP, 1>(rows, w, x, width, sink);
}

template <int STEP, class Sink>
HWY_INLINE void depthwise_row(const Rows& rows, const float* w, int taps, int width,
                              const Sink& sink) {
  if (taps == 1) return row_of<1, STEP>(rows, w, width, sink);
  if (taps == 2) return row_of<2, STEP>(rows, w, width, sink);
  if (taps == 3) return row_of<3, STEP>(rows, w, width, sink);
  row_of<4, STEP>(rows, w, width, sink);
}

/// Depthwise results of one row.
template <class Sink>
HWY_INLINE void forward_row(const PairPlan& plan, const Rows& rows, int block, int width,
                            const Sink& sink) {
  const float* w = plan.depthwise + static_cast<std::size_t>(block) * plan.weights;
  if (plan.stride == 1) return depthwise_row<2>(rows, w, plan.taps, width, sink);
  depthwise_row<1>(rows, w, plan.taps, width, sink);
}

/// To rows of bfloat16, one a pixel. An odd row's last vector has a pixel too many, which the next
/// row overwrites.
struct ToRows {
  Bfloat16* to;
  std::size_t step;
  template <int X>
  HWY_INLINE void put(const V16 (&v)[X], int x) const {
    Bfloat16* p = to + static_cast<std::size_t>(x) * step;
#pragma GCC unroll 8
    for (int o = 0; o < X; ++o, p += kAtOnce * step) {
      const __m256i both = (__m256i)_mm512_cvtneps_pbh(v[o].raw);
      _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_castsi256_si128(both));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(p + step), _mm256_extracti128_si256(both, 1));
    }
  }
};

/// To columns: pairs of one pixel and the next.
struct ToColumns {
  float* to;
  std::size_t step;
  template <int X>
  HWY_INLINE void put(const V16 (&v)[X], int x) const {
    float* p = to + static_cast<std::size_t>(x / kAtOnce) * step;
#pragma GCC unroll 8
    for (int o = 0; o < X; ++o, p += step) {
      pairs::put(interleave(P8{(__m256i)_mm512_cvtneps_pbh(v[o].raw)}), p);
    }
  }
};

/// Gives gradients to the source, where the reader saw something larger than zero.
struct ToMap {
  Bfloat16* to;        // the row's first pixel, of this block
  std::size_t step;    // from pixel to pixel
  const float* shown;  // pairs of the row's first pixel, of this block
  uint32_t half;       // of a pair, that the pixel is
  int width;
  bool relu;
  bool accumulate;

  template <int X>
  HWY_INLINE void put(const V16 (&v)[X], int x) const {
    Bfloat16* p = to + static_cast<std::size_t>(x) * step;
    const float* s = shown + x * kBlock;
#pragma GCC unroll 8
    for (int o = 0; o < X; ++o, p += kAtOnce * step, s += kVector) {
      __m512 g = v[o].raw;
      if (relu) {
        // What the reader saw is not negative.
        const __m512i seen = load16(s).raw;
        g = _mm512_maskz_mov_ps(
            _mm512_test_epi32_mask(seen, _mm512_set1_epi32(static_cast<int>(half))), g);
      }
      const bool second = x + kAtOnce * o + 1 < width;
      const auto at = [&](int i) {
        return reinterpret_cast<__m128i*>(p + i * (second ? step : 0));
      };
      if (accumulate) {
        const __m256i both = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(at(0))),
                                                     _mm_loadu_si128(at(1)), 1);
        g = _mm512_add_ps(g,
                          _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(both), 16)));
      }
      const __m256i both = (__m256i)_mm512_cvtneps_pbh(g);
      if (second) _mm_storeu_si128(at(1), _mm256_extracti128_si256(both, 1));
      _mm_storeu_si128(at(0), _mm256_castsi256_si128(both));
    }
  }
};

/// R kernel rows of the weight gradient: the pairs of every second pixel's gradient meet those of
/// the pixels under each column of the kernel.
template <int KW, int R>
HWY_NOINLINE void weight_rows(const float* gradient, const float* const* rows, std::ptrdiff_t start,
                              int pairs_left, float* out) {
  V8 sums[2][R][KW];
  const float* at[R];
#pragma GCC unroll 3
  for (int r = 0; r < R; ++r) {
    at[r] = rows[r] + start;
#pragma GCC unroll 8
    for (int s = 0; s < KW; ++s) sums[0][r][s] = sums[1][r][s] = hn::Zero(d8);
  }
  for (; pairs_left >= 2; pairs_left -= 2) {
    const P8 first = load8(gradient);
    const P8 second = load8(gradient + kVector);
    gradient += 2 * kVector;
#pragma GCC unroll 3
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 16
      for (int j = 0; j < KW + 2; ++j) {
        const P8 v = load8(at[r] + j * kBlock);
        if (j < KW) sums[0][r][j] = dot(sums[0][r][j], first, v);
        if (j >= 2) sums[1][r][j - 2] = dot(sums[1][r][j - 2], second, v);
      }
      at[r] += 2 * kVector;
    }
  }
  if (pairs_left > 0) {
    const P8 last = load8(gradient);
#pragma GCC unroll 3
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
      for (int s = 0; s < KW; ++s) {
        sums[0][r][s] = dot(sums[0][r][s], last, load8(at[r] + s * kBlock));
      }
    }
  }
#pragma GCC unroll 3
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int s = 0; s < KW; ++s) {
      float* to = out + (r * KW + s) * kBlock;
      hn::StoreU(hn::Add(hn::LoadU(d8, to), hn::Add(sums[0][r][s], sums[1][r][s])), d8, to);
    }
  }
}

template <int KW, int R>
HWY_INLINE void weights_of(const float* gradient, const Rows& rows, int count, float* out) {
  int r = rows.first;
  for (; r + R <= rows.last; r += R) {
    weight_rows<KW, R>(gradient, rows.row + r, rows.start, count, out + r * KW * kBlock);
  }
  for (; r < rows.last; ++r) {
    weight_rows<KW, 1>(gradient, rows.row + r, rows.start, count, out + r * KW * kBlock);
  }
}

/// With a stride of 2, one kernel row: a pixel's gradient meets the pairs of columns under the
/// kernel, as each half of a pair whose other half is zero.
template <int KW>
HWY_NOINLINE void strided_weight_row(const float* gradient, const float* at, int count,
                                     float* out) {
  constexpr int kTaps = (KW + 1) / 2;
  V16 sums[2][kTaps];
#pragma GCC unroll 4
  for (int t = 0; t < kTaps; ++t) sums[0][t] = sums[1][t] = hn::Zero(d16);
  const P16 low = hn::Set(p16, 0xffffU);
  for (; count > 0; --count, gradient += kVector, at += kVector) {
    const P16 both = load16(gradient);
    const P16 even_column = hn::And(both, low);
    const P16 odd_column = hn::ShiftLeft<16>(both);
#pragma GCC unroll 4
    for (int t = 0; t < kTaps; ++t) {
      const P16 v = load16(at + t * kBlock);
      sums[0][t] = dot(sums[0][t], v, even_column);
      sums[1][t] = dot(sums[1][t], v, odd_column);
    }
  }
#pragma GCC unroll 8
  for (int s = 0; s < KW; ++s) {
    const V16 sum = sums[s % 2][s / 2];
    float* to = out + s * kBlock;
    const V8 both = hn::Add(hn::LowerHalf(d8, sum), hn::UpperHalf(d8, sum));
    hn::StoreU(hn::Add(hn::LoadU(d8, to), both), d8, to);
  }
}

template <int KW>
HWY_INLINE void strided_weights(const float* gradient, const Rows& rows, int count, float* out) {
  for (int r = rows.first; r < rows.last; ++r) {
    strided_weight_row<KW>(gradient, rows.row[r] + rows.start, count, out + r * KW * kBlock);
  }
}

/// Adds the share of one output row, of `count` pairs, to out [kh][kw][kBlock].
HWY_INLINE void depthwise_weights(const float* gradient, const Rows& rows, int width, int stride,
                                  int count, float* out) {
  if (stride == 2) {
    if (width == 3) return strided_weights<3>(gradient, rows, count, out);
    if (width == 5) return strided_weights<5>(gradient, rows, count, out);
    return strided_weights<7>(gradient, rows, count, out);
  }
  if (width == 3) return weights_of<3, 1>(gradient, rows, count, out);
  if (width == 5) return weights_of<5, 1>(gradient, rows, count, out);
  weights_of<7, 1>(gradient, rows, count, out);
}

/// Input rows under output row y, of the first block of channels.
HWY_INLINE Rows rows_under(const SeparableArgs& args, const PairPlan& plan, int y) {
  Rows rows;
  for (int r = 0; r < args.window.height; ++r) {
    const int iy = y * args.window.stride - args.window.top + r;
    rows.add(iy < 0 || iy >= args.in.map.height ? nullptr : plan.picture + plan.row_in(0, iy));
  }
  return rows;
}

/// Rows of output gradients over input row iy, in the order of the flipped kernel.
HWY_INLINE Rows rows_over(const SeparableArgs& args, const PairPlan& plan, int iy) {
  Rows rows;
  for (int r = 0; r < args.window.height; ++r) {
    const int at = iy + args.window.top - (args.window.height - 1 - r);
    const int y = at / args.window.stride;
    const bool exists = at >= 0 && at % args.window.stride == 0 && y < args.out.map.height;
    rows.add(exists ? plan.gradients + plan.row_out(0, y) : nullptr);
  }
  return rows;
}

/// Calls work(row of the tile, block, rows under it) for output rows [y0, y1).
template <class Work>
HWY_INLINE void each_row(const SeparableArgs& args, const PairPlan& plan, int y0, int y1,
                         const Work& work) {
  for (int y = y0; y < y1; ++y) {
    Rows rows = rows_under(args, plan, y);
    for (int block = 0; block < plan.blocks; ++block) {
      rows.start = block * static_cast<std::ptrdiff_t>(plan.plane_in);
      work(y - y0, block, rows);
    }
  }
}

/// The columns of the picture that load_row does not write.
HWY_INLINE void clear_picture(const PairPlan& plan) {
  clear_edges(plan.picture, static_cast<std::size_t>(plan.blocks * plan.rows_in), plan.width_in,
              plan.first_in, plan.last_in + 1);
}

void separable_forward(const SeparableArgs& args, int first, int last, float* scratch,
                       float* sums) {
  const PairPlan plan(args, scratch);
  const Map& in = args.in.map;
  const Map& out = args.out.map;
  clear_picture(plan);
  pack_forward(args, plan);
  pack_weights(args.pointwise, in.channels, out.channels, plan.pointwise);
  const auto row_in = static_cast<std::size_t>(in.width * in.channels);
  const auto row_out = static_cast<std::size_t>(out.width * out.channels);
  const auto channels = static_cast<std::size_t>(in.channels);
  Ahead ahead;
  for (int n = first; n < last; ++n) {
    int loaded = 0;
    for (int y0 = 0; y0 < out.height; y0 += plan.tile_rows) {
      const int y1 = std::min(out.height, y0 + plan.tile_rows);
      load_rows(args, plan, n, loaded, SeparablePlan::rows_read(args, y1));
      const int pixels = (y1 - y0) * out.width;
      ahead.clear();
      ahead.add(args.in.data,
                static_cast<std::size_t>(n) * in.size() + static_cast<std::size_t>(loaded) * row_in,
                static_cast<std::size_t>(plan.tile_rows * plan.stride) * row_in);
      ahead.spread(plan.blocks * (y1 - y0) + micro_steps(pixels, out.channels, in.channels / 2));
      each_row(args, plan, y0, y1, [&](int row, int block, const Rows& rows) RENAS_PAIRS_ATTR {
        Bfloat16* to = plan.tile_halves + static_cast<std::size_t>(row * out.width) * channels +
                       block * kBlock;
        forward_row(plan, rows, block, out.width, ToRows{to, channels});
        ahead.some();
      });
      const std::size_t at =
          static_cast<std::size_t>(n) * out.size() + static_cast<std::size_t>(y0) * row_out;
      multiply(rows_of(plan.tile_halves, in.channels), pixels, plan.pointwise, out.channels,
               in.channels / 2, ToOutput(args.out, at, nullptr, sums), ahead);
    }
  }
}

/// Rows of the depthwise result's gradient, as pairs; a row of the product is a pixel.
struct ToGradients : Sink {
  float* row;  // of the first block, at the pixel before the first
  std::size_t plane;
  float last[48];  // the last pixel so far, of a strip's columns
  int first_column = 0;

  HWY_INLINE ToGradients(float* to, std::size_t to_plane) : row(to), plane(to_plane) {}
  HWY_INLINE void begin(int column, int columns) {
    first_column = column;
    std::fill_n(last, columns, 0.0F);
  }
  template <int ROWS, class V>
  HWY_INLINE void put(const V (&v)[ROWS], int m, int column) {
    const hn::DFromV<V> d;
    V before = hn::LoadU(d, last + column - first_column);
    float* to = at(m, column);
#pragma GCC unroll 16
    for (int r = 0; r < ROWS; ++r, to += kBlock) {
      put_blocks(pair(before, v[r]), to, plane);
      before = v[r];
    }
    hn::StoreU(before, d, last + column - first_column);
  }
  HWY_INLINE void end(int column, int columns, int rows) {
    for (int c = 0; c < columns; c += kBlock) {
      put_blocks(pair(hn::LoadU(d8, last + c), hn::Zero(d8)), at(rows, column + c), plane);
    }
  }

 private:
  HWY_INLINE float* at(int m, int column) const {
    return row + static_cast<std::size_t>(column / kBlock) * plane + m * kBlock;
  }
};

/// The data gradient of input row iy's `block`; `rows` over it, `to`: its first pixel's.
HWY_INLINE void give_block(const SeparableArgs& args, const PairPlan& plan, Rows& rows, int iy,
                           int block, Bfloat16* to) {
  const Source& in = args.in;
  const WindowArgs& w = args.window;
  const auto step = static_cast<std::size_t>(in.map.channels);
  const float* weights = plan.depthwise_flipped + static_cast<std::size_t>(block) * plan.weights;
  const float* shown = plan.picture + plan.row_in(block, iy);
  const auto plane = block * static_cast<std::ptrdiff_t>(plan.plane_out);
  if (plan.stride == 1) {
    rows.start = plane;
    return depthwise_row<2>(
        rows, weights, plan.taps, in.map.width,
        ToMap{to, step, shown + w.left * kBlock, 0xffffU, in.map.width, in.relu, in.accumulate});
  }
  // Input columns x with x + left even meet the even columns of the kernel, the others the odd
  // ones.
  for (int odd = 0; odd < 2; ++odd) {
    const int columns = (w.width - odd + 1) / 2;  // of the kernel
    const int q = (w.left - odd + 1) / 2;         // the last output that the first such x meets
    const int x = 2 * q + odd - w.left;
    const int count = (in.map.width - x + 1) / 2;
    rows.start = plane + std::ptrdiff_t{plan.lead + q - (columns - 1)} * kBlock;
    depthwise_row<2>(rows, weights, (columns + 1) / 2, count,
                     ToMap{to + static_cast<std::size_t>(x) * step, 2 * step, shown + q * kBlock,
                           odd == 0 ? 0xffffU : 0xffff0000U, count, in.relu, in.accumulate});
    weights += w.height * ((columns + 1) / 2) * kVector;
  }
}

/// The data gradient of input rows [given, ready), and the batch norm's sums of it while it is in
/// cache.
HWY_INLINE void give_rows(const SeparableArgs& args, const PairPlan& plan, int n, int& given,
                          int ready, float* area, Ahead& ahead) {
  const Map& in = args.in.map;
  const auto step = static_cast<std::size_t>(in.channels);
  const int some = std::max(1, kTilePixels / in.width);
  while (given < ready) {
    const int count = std::min(some, ready - given);
    const std::size_t at =
        static_cast<std::size_t>(n) * in.size() + static_cast<std::size_t>(given * in.width) * step;
    for (int i = 0; i < count; ++i, ++given) {
      Rows rows = rows_over(args, plan, given);
      Bfloat16* to =
          args.in.gradient.as<Bfloat16>() + at + static_cast<std::size_t>(i * in.width) * step;
      for (int block = 0; block < plan.blocks; ++block) {
        give_block(args, plan, rows, given, block, to + block * kBlock);
        ahead.some();
      }
    }
    take_norm_sums(args.in, at, count * in.width, area);
  }
}

void separable_backward(const SeparableArgs& args, int first, int last, float* scratch,
                        float* area) {
  const PairPlan plan(args, scratch);
  const Map& in = args.in.map;
  const Map& out = args.out.map;
  clear_picture(plan);
  clear_edges(plan.gradients, static_cast<std::size_t>(plan.blocks * plan.rows_out), plan.width_out,
              plan.lead - 1, plan.lead + out.width);
  pack_forward(args, plan);
  pack_flipped(args, plan);
  pack_weights(args.pointwise_transposed, out.channels, in.channels, plan.pointwise);
  const auto row_in = static_cast<std::size_t>(in.width * in.channels);
  const std::size_t tile_in = static_cast<std::size_t>(plan.tile_rows * plan.stride) * row_in;
  const auto row_out = static_cast<std::size_t>(out.width * out.channels);
  const std::size_t tile_out = static_cast<std::size_t>(plan.tile_rows) * row_out;
  const auto in_channels = static_cast<std::size_t>(in.channels);
  const auto out_channels = static_cast<std::size_t>(out.channels);
  const std::size_t kernel =
      static_cast<std::size_t>(args.window.height * args.window.width) * kBlock;
  Ahead ahead;
  for (int n = first; n < last; ++n) {
    int loaded = 0;
    int given = 0;
    for (int y0 = 0; y0 < out.height; y0 += plan.tile_rows) {
      const int y1 = std::min(out.height, y0 + plan.tile_rows);
      load_rows(args, plan, n, loaded, SeparablePlan::rows_read(args, y1));
      // Input rows that no later output touches.
      const int ready = SeparablePlan::rows_done(args, y1);
      const std::size_t at_in = static_cast<std::size_t>(n) * in.size();
      const std::size_t at_out = static_cast<std::size_t>(n) * out.size();
      ahead.clear();
      const std::size_t next_out = at_out + static_cast<std::size_t>(y1) * row_out;
      ahead.add(args.out.gradient, next_out, tile_out);
      if (args.out.by_gradient != nullptr) ahead.add(args.out.data, next_out, tile_out);
      ahead.add(args.in.data, at_in + static_cast<std::size_t>(loaded) * row_in, tile_in);
      if (args.in.gradient) {
        ahead.add(args.in.gradient, at_in + static_cast<std::size_t>(std::max(ready, 0)) * row_in,
                  tile_in);
      }
      const int pixels = (y1 - y0) * out.width;
      ahead.spread(2 * plan.blocks * (y1 - y0) +
                   micro_steps(pixels, in.channels, out.channels / 2) +
                   micro_steps(in.channels, out.channels, pixels / 2));

      for (int y = y0; y < y1; ++y) {
        const auto row = static_cast<std::size_t>(y - y0);
        fold(args.out, at_out + static_cast<std::size_t>(y) * row_out, out.width,
             plan.gradient_rows + row * row_out,
             plan.gradient_columns + row * static_cast<std::size_t>(plan.row_pairs) * out_channels);
      }
      each_row(args, plan, y0, y1, [&](int row, int block, const Rows& rows) RENAS_PAIRS_ATTR {
        float* to = plan.tile_columns +
                    static_cast<std::size_t>(row * plan.row_pairs) * in_channels + block * kBlock;
        forward_row(plan, rows, block, out.width, ToColumns{to, in_channels});
        ahead.some();
      });
      multiply({plan.tile_columns, 1, in_channels}, in.channels, plan.gradient_columns,
               out.channels, (y1 - y0) * plan.row_pairs,
               ToFloats(area + args.pointwise_gradient, out_channels, true), ahead);
      for (int y = y0; y < y1; ++y) {
        const auto row = static_cast<std::size_t>(y - y0);
        multiply(rows_of(plan.gradient_rows + row * row_out, out.channels), out.width,
                 plan.pointwise, in.channels, out.channels / 2,
                 ToGradients(plan.gradients + plan.row_out(0, y) + (plan.lead - 1) * kBlock,
                             plan.plane_out),
                 ahead);
      }
      each_row(args, plan, y0, y1, [&](int row, int block, const Rows& rows) RENAS_PAIRS_ATTR {
        depthwise_weights(
            plan.gradients + plan.gradient_at(block, y0 + row), rows, args.window.width,
            plan.stride, plan.row_pairs,
            area + args.depthwise_gradient + static_cast<std::size_t>(block) * kernel);
      });
      if (!args.in.gradient) continue;
      load_rows(args, plan, n, loaded, ready);
      give_rows(args, plan, n, given, ready, area, ahead);
    }
  }
}

}  // namespace pairs
}  // namespace HWY_NAMESPACE
}  // namespace renas::onednn
HWY_AFTER_NAMESPACE();
#endif  // HWY_TARGET == HWY_AVX3

#if HWY_ONCE
namespace renas::onednn::pairs {

#if HWY_TARGETS & HWY_AVX3

const SeparableKernels* kernels_for(const SeparableArgs& args) {
  static constexpr SeparableKernels kKernels = {N_AVX3::pairs::separable_scratch,
                                                N_AVX3::pairs::separable_forward,
                                                N_AVX3::pairs::separable_backward};
  const WindowArgs& w = args.window;
  const bool taken = args.in.data.half() && args.out.data.half() &&
                     args.pointwise_gradient > 0 &&  // there is a 1x1 convolution
                     (w.stride == 1 || w.stride == 2) && w.dilation == 1 && w.height <= 7 &&
                     (w.width == 3 || w.width == 5 || w.width == 7) && w.left >= 1 &&
                     SeparablePlan(args).lead >= 1;
  return taken && available() ? &kKernels : nullptr;
}

#else

const SeparableKernels* kernels_for(const SeparableArgs&) { return nullptr; }

#endif

}  // namespace renas::onednn::pairs
#endif
