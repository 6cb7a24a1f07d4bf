// Per-target toggle of Highway: included once for each instruction set.
#if defined(RENAS_VECTOR_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef RENAS_VECTOR_INL_H_
#undef RENAS_VECTOR_INL_H_
#else
#define RENAS_VECTOR_INL_H_
#endif

#include <hwy/highway.h>

#include "backend/onednn/kernels/args.h"

HWY_BEFORE_NAMESPACE();
namespace renas::onednn {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// At most a block of channels: 8 lanes with AVX2 and AVX-512, 4 with SSE4 and NEON.
using D = hn::CappedTag<float, kBlock>;
using V = hn::Vec<D>;
constexpr D d;
constexpr int kLanes = static_cast<int>(hn::MaxLanes(d));
constexpr int kHalves = kBlock / kLanes;  // vectors in a block
static_assert(kBlock % kLanes == 0);

HWY_INLINE V load(const float* p) { return hn::LoadU(d, p); }
HWY_INLINE void store(V v, float* p) { hn::StoreU(v, d, p); }
HWY_INLINE V zero() { return hn::Zero(d); }

/// What the source shows of `value`, channels from `c` on.
HWY_INLINE V show(const Source& s, V value, int c) {
  if (s.scale != nullptr) value = hn::MulAdd(load(s.scale + c), value, load(s.shift + c));
  // In this order x86 returns a NaN as it is: divergence must reach the loss.
  if (s.relu) value = hn::Max(zero(), value);
  return value;
}

/// Gradient with respect to the raw output, channels from `c` on.
HWY_INLINE V output_gradient(const Output& o, std::size_t at, int c) {
  V g = load(o.gradient + at);
  if (o.by_gradient != nullptr) {
    g = hn::MulAdd(load(o.by_gradient + c), g,
                   hn::MulAdd(load(o.by_value + c), load(o.data + at), load(o.constant + c)));
  }
  return g;
}

/// The same for `pixels` pixels from offset `at` on; only where a batch norm follows.
HWY_INLINE void output_gradients(const Output& o, std::size_t at, int pixels, float* to) {
  const auto channels = static_cast<std::size_t>(o.map.channels);
  for (std::size_t c = 0; c < channels; c += kLanes) {
    const V by_gradient = load(o.by_gradient + c);
    const V by_value = load(o.by_value + c);
    const V constant = load(o.constant + c);
    const float* g = o.gradient + at + c;
    const float* v = o.data + at + c;
    float* t = to + c;
    for (int p = 0; p < pixels; ++p, g += channels, v += channels, t += channels) {
      store(hn::MulAdd(by_gradient, load(g), hn::MulAdd(by_value, load(v), constant)), t);
    }
  }
}

/// Writes or adds `g` where `shown` (what the reader saw) lets it through.
HWY_INLINE void give(const Source& s, V g, V shown, std::size_t at) {
  if (s.relu) g = hn::IfThenElseZero(hn::Gt(shown, zero()), g);
  if (s.accumulate) g = hn::Add(g, load(s.gradient + at));
  store(g, s.gradient + at);
}

/// Sums of value - pilot and its square over `pixels` pixels of `channels`.
HWY_INLINE void add_statistics(const float* data, std::size_t pixels, int channels,
                               const float* pilot, float* sums) {
  for (int c = 0; c < channels; c += kLanes) {
    const V k = load(pilot + c);
    V sum0 = zero();
    V sum1 = zero();
    V square0 = zero();
    V square1 = zero();
    const float* p = data + c;
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
HWY_INLINE void add_norm_sums(const float* data, const float* gradient, std::size_t pixels,
                              int channels, const float* mean, float* sums) {
  for (int c = 0; c < channels; c += kLanes) {
    const V m = load(mean + c);
    V sum0 = zero();
    V sum1 = zero();
    V dot0 = zero();
    V dot1 = zero();
    const float* v = data + c;
    const float* g = gradient + c;
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

}  // namespace HWY_NAMESPACE
}  // namespace renas::onednn
HWY_AFTER_NAMESPACE();

#endif  // RENAS_VECTOR_INL_H_
