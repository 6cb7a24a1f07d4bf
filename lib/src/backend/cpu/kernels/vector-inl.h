// Per-target toggle of Highway: included once for each instruction set.
#if defined(RENAS_VECTOR_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef RENAS_VECTOR_INL_H_
#undef RENAS_VECTOR_INL_H_
#else
#define RENAS_VECTOR_INL_H_
#endif

#include <hwy/highway.h>

#include <limits>
#include <type_traits>

#include "backend/cpu/kernels/args.h"

HWY_BEFORE_NAMESPACE();
namespace renas::cpu {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// At most a block of channels: 8 lanes with AVX2 and AVX-512, 4 with SSE4 and NEON.
using D = hn::CappedTag<float, kBlock>;
using V = hn::Vec<D>;
constexpr D d;
constexpr int kLanes = static_cast<int>(hn::MaxLanes(d));
constexpr int kHalves = kBlock / kLanes;  // vectors in a block
static_assert(kBlock % kLanes == 0);
/// Two blocks where the processor has such vectors: 16 lanes with AVX-512, as `d` elsewhere.
constexpr hn::CappedTag<float, 2 * kBlock> wide;

template <class Tag>
HWY_INLINE hn::Vec<Tag> load(Tag tag, const float* p) {
  return hn::LoadU(tag, p);
}
template <class Tag>
HWY_INLINE void store(hn::Vec<Tag> v, Tag tag, float* p) {
  hn::StoreU(v, tag, p);
}

#if HWY_TARGET == HWY_AVX3
// Halves are moved in one step instead of two or three, which would all take the same two of the
// processor's four units.

/// Where the upper halves of each lane come from, and where they are.
alignas(64) inline constexpr uint16_t kToUpperHalves[32] = {0, 0,  0, 1,  0, 2,  0, 3,  0, 4, 0,
                                                            5, 0,  6, 0,  7, 0,  8, 0,  9, 0, 10,
                                                            0, 11, 0, 12, 0, 13, 0, 14, 0, 15};
alignas(64) inline constexpr uint16_t kUpperHalves[32] = {1,  3,  5,  7,  9,  11, 13, 15,
                                                          17, 19, 21, 23, 25, 27, 29, 31};

HWY_INLINE hn::Vec<hn::CappedTag<float, 16>> from_halves(__m256i halves) {
  const __m512i to = _mm512_load_si512(kToUpperHalves);
  return hn::Vec<hn::CappedTag<float, 16>>{_mm512_castsi512_ps(
      _mm512_maskz_permutexvar_epi16(0xaaaaaaaaU, to, _mm512_castsi256_si512(halves)))};
}
HWY_INLINE V from_halves(__m128i halves) {
  const __m256i to = _mm256_load_si256(reinterpret_cast<const __m256i*>(kToUpperHalves));
  return V{_mm256_castsi256_ps(
      _mm256_maskz_permutexvar_epi16(0xaaaaU, to, _mm256_castsi128_si256(halves)))};
}
HWY_INLINE __m256i upper_halves(__m512i words) {
  return _mm512_castsi512_si256(_mm512_permutexvar_epi16(_mm512_load_si512(kUpperHalves), words));
}
HWY_INLINE __m128i upper_halves(__m256i words) {
  const __m256i from = _mm256_load_si256(reinterpret_cast<const __m256i*>(kUpperHalves));
  return _mm256_castsi256_si128(_mm256_permutexvar_epi16(from, words));
}

template <class Tag>
HWY_INLINE hn::Vec<Tag> load(Tag /*tag*/, const Bfloat16* p) {
  return from_halves(hn::LoadU(hn::Rebind<uint16_t, Tag>(), &p->bits).raw);
}
template <class Words>
HWY_INLINE void store_upper(Words words, Bfloat16* p) {
  const hn::Rebind<uint16_t, hn::DFromV<Words>> halves;
  hn::StoreU(hn::Vec<decltype(halves)>{upper_halves(words.raw)}, halves, &p->bits);
}
#else
template <class Tag>
HWY_INLINE hn::Vec<Tag> load(Tag tag, const Bfloat16* p) {
  const hn::Rebind<uint16_t, Tag> halves;
  const hn::RebindToUnsigned<Tag> words;
  return hn::BitCast(tag, hn::ShiftLeft<16>(hn::PromoteTo(words, hn::LoadU(halves, &p->bits))));
}
template <class Words>
HWY_INLINE void store_upper(Words words, Bfloat16* p) {
  const hn::DFromV<Words> d_words;
  const hn::Rebind<uint16_t, decltype(d_words)> halves;
  const auto upper =
      hn::BitCast(hn::RebindToSigned<decltype(d_words)>(), hn::ShiftRight<16>(words));
  hn::StoreU(hn::DemoteTo(halves, upper), halves, &p->bits);
}
#endif
/// To the nearest, ties to even. The processor's own NaN stays one: its lower half is zero.
template <class Tag>
HWY_INLINE void store(hn::Vec<Tag> v, Tag /*tag*/, Bfloat16* p) {
  const hn::RebindToUnsigned<Tag> words;
  const auto bits = hn::BitCast(words, v);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(words, 1));
  store_upper(hn::Add(bits, hn::Add(odd, hn::Set(words, 0x7fff))), p);
}
template <class T>
HWY_INLINE V load(const T* p) {
  return load(d, p);
}
template <class T>
HWY_INLINE void store(V v, T* p) {
  store(v, d, p);
}
HWY_INLINE V zero() { return hn::Zero(d); }

/// Calls work(tag) with the widest vectors that a pixel of `channels` consists of. Where there is
/// half a vector more, wide ones would lie across two lines of the cache.
template <class Work>
HWY_INLINE void with_tag(int channels, const Work& work) {
  if (channels % static_cast<int>(hn::MaxLanes(wide)) == 0) return work(wide);
  work(d);
}

/// Calls work(pointer of the numbers' own type).
template <class Work>
HWY_INLINE void typed(const Cells& cells, const Work& work) {
  if (cells.half()) {
    work(cells.as<Bfloat16>());
  } else {
    work(cells.as<float>());
  }
}

/// Where the type is asked for every vector: off the hot paths.
HWY_INLINE V load(const Cells& cells, std::size_t i) {
  return cells.half() ? load(cells.as<Bfloat16>() + i) : load(cells.as<float>() + i);
}
HWY_INLINE void store(V v, const Cells& cells, std::size_t i) {
  typed(cells, [&](auto* p) HWY_ATTR { store(v, p + i); });
}

/// What the source shows of `value`, channels from `c` on.
HWY_INLINE V show(const Source& s, V value, int c) {
  if (s.scale != nullptr) value = hn::MulAdd(load(s.scale + c), value, load(s.shift + c));
  // In this order x86 returns a NaN as it is: divergence must reach the loss.
  if (s.relu) value = hn::Max(zero(), value);
  return value;
}

/// What the source cuts its values off at.
HWY_INLINE V floor_of(const Source& s) {
  return s.relu ? zero() : hn::Set(d, -std::numeric_limits<float>::infinity());
}

/// What a source shows to readers that go pixel by pixel: coefficients stay in the first cache.
class Shown {
 public:
  explicit Shown(const Source& s)
      : scale_(s.scale),
        shift_(s.shift),
        floor_(s.relu ? 0.0F : -std::numeric_limits<float>::infinity()) {}
  /// Of channels from c on.
  template <class Tag>
  HWY_INLINE hn::Vec<Tag> operator()(Tag tag, hn::Vec<Tag> v, std::size_t c) const {
    if (scale_ != nullptr) v = hn::MulAdd(load(tag, scale_ + c), v, load(tag, shift_ + c));
    // In this order x86 returns a NaN as it is: divergence must reach the loss.
    return hn::Max(hn::Set(tag, floor_), v);
  }

 private:
  const float* scale_;
  const float* shift_;
  float floor_;
};

/// Calls work(a number of vectors, first channel) for all channels, three vectors at a time where
/// there are so many: their coefficients fit registers, and a pass over pixels goes by whole lines.
template <class Work>
HWY_INLINE void each_strip(int channels, const Work& work) {
  int c = 0;
  for (; c + 3 * kLanes <= channels; c += 3 * kLanes) work(std::integral_constant<int, 3>(), c);
  for (; c < channels; c += kLanes) work(std::integral_constant<int, 1>(), c);
}

/// Copies `size` numbers, a multiple of kLanes, from one type to the other.
template <class From, class To>
HWY_INLINE void convert(const From* from, std::size_t size, To* to) {
  for (std::size_t i = 0; i < size; i += kLanes) store(load(from + i), to + i);
}

template <class T>
HWY_INLINE void fold_gradients(const Output& o, const T* gradient, const T* data, int pixels,
                               float* to) {
  const auto channels = static_cast<std::size_t>(o.map.channels);
  if (o.by_gradient == nullptr) {
    return convert(gradient, static_cast<std::size_t>(pixels) * channels, to);
  }
  each_strip(o.map.channels, [&](auto strip, int c) HWY_ATTR {
    constexpr int N = strip;
    V by_gradient[N];
    V by_value[N];
    V constant[N];
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) {
      by_gradient[n] = load(o.by_gradient + c + n * kLanes);
      by_value[n] = load(o.by_value + c + n * kLanes);
      constant[n] = load(o.constant + c + n * kLanes);
    }
    const T* g = gradient + c;
    const T* v = data + c;
    float* t = to + c;
    for (int p = 0; p < pixels; ++p, g += channels, v += channels, t += channels) {
#pragma GCC unroll 4
      for (int n = 0; n < N; ++n) {
        const V folded = hn::MulAdd(by_value[n], load(v + n * kLanes), constant[n]);
        store(hn::MulAdd(by_gradient[n], load(g + n * kLanes), folded), t + n * kLanes);
      }
    }
  });
}

/// Gradients with respect to the raw output of `pixels` pixels from offset `at` on: as they lie in
/// memory, or made in `room`.
HWY_INLINE const float* output_gradients(const Output& o, std::size_t at, int pixels, float* room) {
  if (!o.gradient.half() && o.by_gradient == nullptr) return o.gradient.as<float>() + at;
  typed(o.gradient, [&](auto* gradient) HWY_ATTR {
    using T = std::remove_pointer_t<decltype(gradient)>;
    fold_gradients<T>(o, gradient + at, o.data.as<T>() + at, pixels, room);
  });
  return room;
}

/// Writes or adds `g` where `shown` (what the reader saw) lets it through; `to`: the source's
/// gradient.
template <class T>
HWY_INLINE void give(const Source& s, V g, V shown, T* to) {
  if (s.relu) g = hn::IfThenElseZero(hn::Gt(shown, zero()), g);
  if (s.accumulate) g = hn::Add(g, load(to));
  store(g, to);
}
HWY_INLINE void give(const Source& s, V g, V shown, std::size_t at) {
  typed(s.gradient, [&](auto* to) HWY_ATTR { give(s, g, shown, to + at); });
}

/// Some channels of pixels that follow each other.
struct Pixels {
  std::size_t at;  // offset of the first
  std::size_t count;
  std::size_t first;  // channel
  std::size_t channels;
};

template <bool RELU, bool ACCUMULATE, class Tag, class G, class T>
HWY_INLINE void give_pixels(Tag tag, const Source& s, const Pixels& pixels, const G* row,
                            std::size_t row_step, T* gradient) {
  const auto step = static_cast<std::size_t>(s.map.channels);
  const Shown shown(s);
  const T* data = s.data.as<T>() + pixels.at + pixels.first;
  gradient += pixels.at + pixels.first;
  for (std::size_t p = 0; p < pixels.count; ++p, data += step, gradient += step, row += row_step) {
    for (std::size_t c = 0; c < pixels.channels; c += hn::Lanes(tag)) {
      auto g = load(tag, row + c);
      if constexpr (RELU) {
        const auto seen = shown(tag, load(tag, data + c), pixels.first + c);
        g = hn::IfThenElseZero(hn::Gt(seen, hn::Zero(tag)), g);
      }
      if constexpr (ACCUMULATE) g = hn::Add(g, load(tag, gradient + c));
      store(g, tag, gradient + c);
    }
  }
}

/// Gives `pixels` of the source gradients; `row`: the first one's, `row_step` from each to the
/// next. What is asked for every pixel is asked once: with masks instead, as compilers like to have
/// it, gradients would be read, and waited for, that are only written.
template <class Tag, class G>
HWY_INLINE void give_pixels(Tag tag, const Source& s, const Pixels& pixels, const G* row,
                            std::size_t row_step) {
  typed(s.gradient, [&](auto* to) HWY_ATTR {
    if (s.relu && s.accumulate) return give_pixels<true, true>(tag, s, pixels, row, row_step, to);
    if (s.relu) return give_pixels<true, false>(tag, s, pixels, row, row_step, to);
    if (s.accumulate) return give_pixels<false, true>(tag, s, pixels, row, row_step, to);
    give_pixels<false, false>(tag, s, pixels, row, row_step, to);
  });
}

/// Pixels that a sum takes at a time: enough sums that none waits for its own last addition.
template <int N>
constexpr int kPixelsAtOnce = N == 1 ? 2 : 1;

/// Sums of value - pilot and its square over `pixels` pixels of `channels`.
template <class T>
HWY_INLINE void add_statistics(const T* data, std::size_t pixels, int channels, const float* pilot,
                               float* sums) {
  for (int c = 0; c < channels; c += kLanes) {
    const V k = load(pilot + c);
    V sum0 = zero();
    V sum1 = zero();
    V square0 = zero();
    V square1 = zero();
    const T* p = data + c;
    std::size_t i = 0;
    for (; i + 2 <= pixels; i += 2) {
      const V v0 = hn::Sub(load(p), k);
      const V v1 = hn::Sub(load(p + channels), k);
      sum0 = hn::Add(sum0, v0);
      sum1 = hn::Add(sum1, v1);
      square0 = hn::MulAdd(v0, v0, square0);
      square1 = hn::MulAdd(v1, v1, square1);
      p += 2 * channels;
    }
    if (i < pixels) {
      const V v0 = hn::Sub(load(p), k);
      sum0 = hn::Add(sum0, v0);
      square0 = hn::MulAdd(v0, v0, square0);
    }
    store(hn::Add(load(sums + c), hn::Add(sum0, sum1)), sums + c);
    store(hn::Add(load(sums + channels + c), hn::Add(square0, square1)), sums + channels + c);
  }
}

/// Sums of gradient and of gradient * (value - mean) over `pixels` pixels of `channels`.
template <class T>
HWY_INLINE void add_norm_sums(const T* data, const T* gradient, std::size_t pixels, int channels,
                              const float* mean, float* sums) {
  for (int c = 0; c < channels; c += kLanes) {
    const V m = load(mean + c);
    V sum0 = zero();
    V sum1 = zero();
    V dot0 = zero();
    V dot1 = zero();
    const T* v = data + c;
    const T* g = gradient + c;
    std::size_t i = 0;
    for (; i + 2 <= pixels; i += 2) {
      const V g0 = load(g);
      const V g1 = load(g + channels);
      sum0 = hn::Add(sum0, g0);
      sum1 = hn::Add(sum1, g1);
      dot0 = hn::MulAdd(g0, hn::Sub(load(v), m), dot0);
      dot1 = hn::MulAdd(g1, hn::Sub(load(v + channels), m), dot1);
      v += 2 * channels;
      g += 2 * channels;
    }
    if (i < pixels) {
      const V g0 = load(g);
      sum0 = hn::Add(sum0, g0);
      dot0 = hn::MulAdd(g0, hn::Sub(load(v), m), dot0);
    }
    store(hn::Add(load(sums + c), hn::Add(sum0, sum1)), sums + c);
    store(hn::Add(load(sums + channels + c), hn::Add(dot0, dot1)), sums + channels + c);
  }
}

/// The source's batch-norm sums of `pixels` pixels from offset `at` on, if it takes them.
HWY_INLINE void take_norm_sums(const Source& s, std::size_t at, std::size_t pixels, float* area) {
  if (s.mean == nullptr) return;
  typed(s.gradient, [&](auto* gradient) HWY_ATTR {
    using T = std::remove_pointer_t<decltype(gradient)>;
    add_norm_sums<T>(s.data.as<T>() + at, gradient + at, pixels, s.map.channels, s.mean,
                     area + s.sums);
  });
}

/// Where a tile of the output, from offset `at` on, is computed: in place, or in `room` if it is
/// stored in halves.
HWY_INLINE float* tile_of(const Output& o, std::size_t at, float* room) {
  return o.data.half() ? room : o.data.as<float>() + at;
}

/// Stores a tile that is not in place.
HWY_INLINE void store_tile(const Output& o, std::size_t at, std::size_t pixels, const float* tile) {
  if (!o.data.half()) return;
  convert(tile, pixels * static_cast<std::size_t>(o.map.channels), o.data.as<Bfloat16>() + at);
}

/// Takes the statistics of what is stored, `pixels` pixels from offset `at` on.
HWY_INLINE void take_statistics(const Output& o, std::size_t at, std::size_t pixels, float* sums) {
  if (o.pilot == nullptr || sums == nullptr) return;
  typed(o.data, [&](auto* data)
                    HWY_ATTR { add_statistics(data + at, pixels, o.map.channels, o.pilot, sums); });
}

}  // namespace HWY_NAMESPACE
}  // namespace renas::cpu
HWY_AFTER_NAMESPACE();

#endif  // RENAS_VECTOR_INL_H_
