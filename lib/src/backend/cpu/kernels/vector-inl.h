// Vectors of channels: loads and stores in float and bfloat16, and what most kernels do with them.
//
// Highway's per-target toggle: the file is included once for each instruction set.
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

// Vectors of at most one block of channels: 8 lanes with AVX2 and AVX-512, 4 with SSE4 and NEON.
using D = hn::CappedTag<float, kBlock>;
using V = hn::Vec<D>;
constexpr D d;
constexpr int kLanes = static_cast<int>(hn::MaxLanes(d));
static_assert(kBlock % kLanes == 0);
/// Vectors of two blocks where the processor has them: 16 lanes with AVX-512, the same as `d`
/// elsewhere.
constexpr hn::CappedTag<float, 2 * kBlock> wide;
using W = hn::Vec<decltype(wide)>;

template <class Tag>
HWY_INLINE hn::Vec<Tag> load(Tag tag, const float* p) {
  return hn::LoadU(tag, p);
}
template <class Tag>
HWY_INLINE void store(hn::Vec<Tag> v, Tag tag, float* p) {
  hn::StoreU(v, tag, p);
}

#if HWY_TARGET == HWY_AVX3
// A bfloat16 is the upper half of a float. AVX-512 moves upper halves with one permutation instead
// of two or three instructions, which would all compete for the same two of the four vector units.

/// Indices of 16-bit words: from bfloat16 to the upper half of each lane, and back.
alignas(64) inline constexpr uint16_t kToUpperWords[32] = {0, 0,  0, 1,  0, 2,  0, 3,  0, 4, 0,
                                                           5, 0,  6, 0,  7, 0,  8, 0,  9, 0, 10,
                                                           0, 11, 0, 12, 0, 13, 0, 14, 0, 15};
alignas(64) inline constexpr uint16_t kFromUpperWords[32] = {1,  3,  5,  7,  9,  11, 13, 15,
                                                             17, 19, 21, 23, 25, 27, 29, 31};

HWY_INLINE hn::Vec<hn::CappedTag<float, 16>> widen(__m256i bf16) {
  const __m512i to = _mm512_load_si512(kToUpperWords);
  return hn::Vec<hn::CappedTag<float, 16>>{_mm512_castsi512_ps(
      _mm512_maskz_permutexvar_epi16(0xaaaaaaaaU, to, _mm512_castsi256_si512(bf16)))};
}
HWY_INLINE V widen(__m128i bf16) {
  const __m256i to = _mm256_load_si256(reinterpret_cast<const __m256i*>(kToUpperWords));
  return V{_mm256_castsi256_ps(
      _mm256_maskz_permutexvar_epi16(0xaaaaU, to, _mm256_castsi128_si256(bf16)))};
}
HWY_INLINE __m256i upper_words(__m512i words) {
  return _mm512_castsi512_si256(
      _mm512_permutexvar_epi16(_mm512_load_si512(kFromUpperWords), words));
}
HWY_INLINE __m128i upper_words(__m256i words) {
  const __m256i from = _mm256_load_si256(reinterpret_cast<const __m256i*>(kFromUpperWords));
  return _mm256_castsi256_si128(_mm256_permutexvar_epi16(from, words));
}

template <class Tag>
HWY_INLINE hn::Vec<Tag> load(Tag /*tag*/, const Bfloat16* p) {
  return widen(hn::LoadU(hn::Rebind<uint16_t, Tag>(), &p->bits).raw);
}
template <class Words>
HWY_INLINE void store_upper(Words words, Bfloat16* p) {
  const hn::Rebind<uint16_t, hn::DFromV<Words>> words16;
  hn::StoreU(hn::Vec<decltype(words16)>{upper_words(words.raw)}, words16, &p->bits);
}
#else
template <class Tag>
HWY_INLINE hn::Vec<Tag> load(Tag tag, const Bfloat16* p) {
  const hn::Rebind<uint16_t, Tag> words16;
  const hn::RebindToUnsigned<Tag> words;
  return hn::BitCast(tag, hn::ShiftLeft<16>(hn::PromoteTo(words, hn::LoadU(words16, &p->bits))));
}
template <class Words>
HWY_INLINE void store_upper(Words words, Bfloat16* p) {
  const hn::DFromV<Words> d_words;
  const hn::Rebind<uint16_t, decltype(d_words)> words16;
  const auto upper =
      hn::BitCast(hn::RebindToSigned<decltype(d_words)>(), hn::ShiftRight<16>(words));
  hn::StoreU(hn::DemoteTo(words16, upper), words16, &p->bits);
}
#endif
/// Rounds to the nearest bfloat16, ties to even. A NaN that the processor made stays a NaN, because
/// its lower half is zero.
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

/// Calls work(tag) with the widest vectors that divide a pixel of `channels`. With half a wide
/// vector left over, wide loads would straddle two cache lines, so narrow ones are used throughout.
template <class Work>
HWY_INLINE void with_tag(int channels, const Work& work) {
  if (channels % static_cast<int>(hn::MaxLanes(wide)) == 0) return work(wide);
  work(d);
}

/// Calls work(pointer), where the pointer has the type of the map's numbers.
template <class Work>
HWY_INLINE void typed(const MapData& data, const Work& work) {
  if (data.is_bf16()) {
    work(data.as<Bfloat16>());
  } else {
    work(data.as<float>());
  }
}

// These test the type at every vector. They are meant for code that takes little time.
HWY_INLINE V load(const MapData& data, std::size_t i) {
  return data.is_bf16() ? load(data.as<Bfloat16>() + i) : load(data.as<float>() + i);
}
HWY_INLINE void store(V v, const MapData& data, std::size_t i) {
  typed(data, [&](auto* p) HWY_ATTR { store(v, p + i); });
}

/// Applies the view's batch norm and ReLU to `value`, channels from `c` on.
HWY_INLINE V activate(const InputView& s, V value, int c) {
  if (s.scale != nullptr) value = hn::MulAdd(load(s.scale + c), value, load(s.shift + c));
  // x86 returns the second operand if one is a NaN: divergence must reach the loss.
  if (s.relu) value = hn::Max(zero(), value);
  return value;
}

/// The lower bound of a view's values: 0 with ReLU, otherwise minus infinity.
HWY_INLINE V relu_floor(const InputView& s) {
  return s.relu ? zero() : hn::Set(d, -std::numeric_limits<float>::infinity());
}

/// A view's batch norm and ReLU for loops that go pixel by pixel. The coefficients are loaded again
/// for every pixel; they stay in the first-level cache.
class Activation {
 public:
  explicit Activation(const InputView& s)
      : scale_(s.scale),
        shift_(s.shift),
        floor_(s.relu ? 0.0F : -std::numeric_limits<float>::infinity()) {}
  /// Activates `v`, channels from c on.
  template <class Tag>
  HWY_INLINE hn::Vec<Tag> operator()(Tag tag, hn::Vec<Tag> v, std::size_t c) const {
    if (scale_ != nullptr) v = hn::MulAdd(load(tag, scale_ + c), v, load(tag, shift_ + c));
    // x86 returns the second operand if one is a NaN: divergence must reach the loss.
    return hn::Max(hn::Set(tag, floor_), v);
  }

 private:
  const float* scale_;
  const float* shift_;
  float floor_;
};

/// Calls work(number of vectors, first channel) for all channels, three vectors at a time where
/// possible. Three vectors' coefficients fit the registers, and they cover whole cache lines.
template <class Work>
HWY_INLINE void each_strip(int channels, const Work& work) {
  int c = 0;
  for (; c + 3 * kLanes <= channels; c += 3 * kLanes) work(std::integral_constant<int, 3>(), c);
  for (; c < channels; c += kLanes) work(std::integral_constant<int, 1>(), c);
}

/// Copies `size` numbers, a multiple of kLanes, converting between float and bfloat16.
template <class From, class To>
HWY_INLINE void convert(const From* from, std::size_t size, To* to) {
  for (std::size_t i = 0; i < size; i += kLanes) store(load(from + i), to + i);
}

template <class T>
HWY_INLINE void raw_gradients(const OutputMap& o, const T* gradient, const T* data, int pixels,
                              float* to) {
  const std::size_t channels = o.map.channels;
  if (o.dy_scale == nullptr) {
    return convert(gradient, pixels * channels, to);
  }
  each_strip(o.map.channels, [&](auto strip, int c) HWY_ATTR {
    constexpr int N = strip;
    V dy_scale[N];
    V x_scale[N];
    V offset[N];
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) {
      dy_scale[n] = load(o.dy_scale + c + n * kLanes);
      x_scale[n] = load(o.x_scale + c + n * kLanes);
      offset[n] = load(o.offset + c + n * kLanes);
    }
    const T* g = gradient + c;
    const T* v = data + c;
    float* t = to + c;
    for (int p = 0; p < pixels; ++p, g += channels, v += channels, t += channels) {
#pragma GCC unroll 4
      for (int n = 0; n < N; ++n) {
        const V rest = hn::MulAdd(x_scale[n], load(v + n * kLanes), offset[n]);
        store(hn::MulAdd(dy_scale[n], load(g + n * kLanes), rest), t + n * kLanes);
      }
    }
  });
}

/// Returns the gradients with respect to the output (see OutputMap) of `pixels` pixels from offset
/// `at` on. They are read in place where they lie in memory as float, otherwise computed into
/// `tile`.
HWY_INLINE const float* output_gradients(const OutputMap& o, std::size_t at, int pixels,
                                         float* tile) {
  if (!o.gradient.is_bf16() && o.dy_scale == nullptr) return o.gradient.as<float>() + at;
  typed(o.gradient, [&](auto* gradient) HWY_ATTR {
    using T = std::remove_pointer_t<decltype(gradient)>;
    raw_gradients<T>(o, gradient + at, o.data.as<T>() + at, pixels, tile);
  });
  return tile;
}

/// Stores the input gradient `g` at `to`: masked by the view's ReLU and added where the view
/// accumulates. `activated` is the input as the group read it.
template <class T>
HWY_INLINE void store_gradient(const InputView& s, V g, V activated, T* to) {
  if (s.relu) g = hn::IfThenElseZero(hn::Gt(activated, zero()), g);
  if (s.accumulate) g = hn::Add(g, load(to));
  store(g, to);
}
HWY_INLINE void store_gradient(const InputView& s, V g, V activated, std::size_t at) {
  typed(s.gradient, [&](auto* to) HWY_ATTR { store_gradient(s, g, activated, to + at); });
}

/// A range of consecutive pixels and a range of their channels.
struct Pixels {
  std::size_t at;  // offset of the first
  std::size_t count;
  std::size_t first;  // channel
  std::size_t channels;
};

template <bool RELU, bool ACCUMULATE, class Tag, class G, class T>
HWY_INLINE void store_gradient_pixels(Tag tag, const InputView& s, const Pixels& pixels,
                                      const G* row, std::size_t row_step, T* gradient) {
  const std::size_t step = s.map.channels;
  const Activation activate_view(s);
  const T* data = s.data.as<T>() + pixels.at + pixels.first;
  gradient += pixels.at + pixels.first;
  for (std::size_t p = 0; p < pixels.count; ++p, data += step, gradient += step, row += row_step) {
    for (std::size_t c = 0; c < pixels.channels; c += hn::Lanes(tag)) {
      auto g = load(tag, row + c);
      if constexpr (RELU) {
        const auto activated = activate_view(tag, load(tag, data + c), pixels.first + c);
        g = hn::IfThenElseZero(hn::Gt(activated, hn::Zero(tag)), g);
      }
      if constexpr (ACCUMULATE) g = hn::Add(g, load(tag, gradient + c));
      store(g, tag, gradient + c);
    }
  }
}

/// Stores input gradients of `pixels`. `row` holds the first pixel's, and each pixel's lie
/// `row_step` floats after the one before. ReLU and accumulation are template parameters: with
/// masks at run time, gradients that are only written would also be read and waited for.
template <class Tag, class G>
HWY_INLINE void store_gradient_pixels(Tag tag, const InputView& s, const Pixels& pixels,
                                      const G* row, std::size_t row_step) {
  typed(s.gradient, [&](auto* to) HWY_ATTR {
    if (s.relu && s.accumulate) {
      return store_gradient_pixels<true, true>(tag, s, pixels, row, row_step, to);
    }
    if (s.relu) return store_gradient_pixels<true, false>(tag, s, pixels, row, row_step, to);
    if (s.accumulate) return store_gradient_pixels<false, true>(tag, s, pixels, row, row_step, to);
    store_gradient_pixels<false, false>(tag, s, pixels, row, row_step, to);
  });
}

/// Adds the sums of x - centre and of its square over `pixels` pixels of `channels`, two pixels at
/// a time so that no sum waits for its own last addition.
template <class T>
HWY_INLINE void add_statistics(const T* data, std::size_t pixels, int channels, const float* centre,
                               float* sums) {
  for (int c = 0; c < channels; c += kLanes) {
    const V k = load(centre + c);
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

/// Adds the sums of dy and of dy * (x - mean) over `pixels` pixels of `channels`, two pixels at
/// a time.
template <class T>
HWY_INLINE void add_norm_sums(const T* data, const T* gradient, std::size_t pixels, int channels,
                              const float* mean, float* sums) {
  for (int c = 0; c < channels; c += kLanes) {
    const V m = load(mean + c);
    V sum0 = zero();
    V sum1 = zero();
    V product0 = zero();
    V product1 = zero();
    const T* v = data + c;
    const T* g = gradient + c;
    std::size_t i = 0;
    for (; i + 2 <= pixels; i += 2) {
      const V g0 = load(g);
      const V g1 = load(g + channels);
      sum0 = hn::Add(sum0, g0);
      sum1 = hn::Add(sum1, g1);
      product0 = hn::MulAdd(g0, hn::Sub(load(v), m), product0);
      product1 = hn::MulAdd(g1, hn::Sub(load(v + channels), m), product1);
      v += 2 * channels;
      g += 2 * channels;
    }
    if (i < pixels) {
      const V g0 = load(g);
      sum0 = hn::Add(sum0, g0);
      product0 = hn::MulAdd(g0, hn::Sub(load(v), m), product0);
    }
    store(hn::Add(load(sums + c), hn::Add(sum0, sum1)), sums + c);
    store(hn::Add(load(sums + channels + c), hn::Add(product0, product1)), sums + channels + c);
  }
}

/// Adds a batch norm's backward sums of `pixels` pixels from offset `at` on, if the view wants
/// them.
HWY_INLINE void accumulate_norm_sums(const InputView& s, std::size_t at, std::size_t pixels,
                                     float* partial) {
  if (s.mean == nullptr) return;
  typed(s.gradient, [&](auto* gradient) HWY_ATTR {
    using T = std::remove_pointer_t<decltype(gradient)>;
    add_norm_sums<T>(s.data.as<T>() + at, gradient + at, pixels, s.map.channels, s.mean,
                     partial + s.sums);
  });
}

/// Returns where a tile of the output is computed: in place, at offset `at`, or in `tile` if the
/// output is stored in bfloat16.
HWY_INLINE float* tile_of(const OutputMap& o, std::size_t at, float* tile) {
  return o.data.is_bf16() ? tile : o.data.as<float>() + at;
}

/// Rounds a tile to the output's bfloat16. Does nothing if it was computed in place.
HWY_INLINE void store_tile(const OutputMap& o, std::size_t at, std::size_t pixels,
                           const float* tile) {
  if (!o.data.is_bf16()) return;
  convert(tile, pixels * o.map.channels, o.data.as<Bfloat16>() + at);
}

/// Adds the statistics of `pixels` stored pixels from offset `at` on, if they are wanted.
HWY_INLINE void accumulate_statistics(const OutputMap& o, std::size_t at, std::size_t pixels,
                                      float* sums) {
  if (o.centre == nullptr || sums == nullptr) return;
  typed(o.data, [&](auto* data) HWY_ATTR {
    add_statistics(data + at, pixels, o.map.channels, o.centre, sums);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace renas::cpu
HWY_AFTER_NAMESPACE();

#endif  // RENAS_VECTOR_INL_H_
