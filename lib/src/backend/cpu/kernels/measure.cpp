#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/measure.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h:
#include "backend/cpu/kernels/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace renas::cpu {
namespace HWY_NAMESPACE {

double peak_loop(int64_t steps) {
  // The widest vectors of the processor, not the kernels' own: this measures the processor.
  const hn::ScalableTag<float> widest;
  constexpr int kChains = 12;
  hn::Vec<decltype(widest)> sums[kChains];
  for (auto& sum : sums) sum = hn::Set(widest, 1.0F);
  const auto factor = hn::Set(widest, 0.999F);
  const auto term = hn::Set(widest, 0.001F);
  for (int64_t i = 0; i < steps; ++i) {
#pragma GCC unroll 12
    for (int k = 0; k < kChains; ++k) sums[k] = hn::MulAdd(sums[k], factor, term);
  }
  auto total = sums[0];
  for (int k = 1; k < kChains; ++k) total = hn::Add(total, sums[k]);
  // The result is read so that the compiler keeps the loop; it is never negative.
  const double lanes = static_cast<double>(hn::Lanes(widest));
  return hn::GetLane(total) < 0 ? 0 : 2.0 * kChains * lanes * static_cast<double>(steps);
}

void triad(const float* a, const float* b, float* c, std::size_t size) {
  const V three = hn::Set(d, 3.0F);
  for (std::size_t i = 0; i < size; i += kLanes) {
    store(hn::MulAdd(three, load(b + i), load(a + i)), c + i);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace renas::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace renas::cpu {

HWY_EXPORT(peak_loop);
HWY_EXPORT(triad);

double peak_loop(int64_t steps) { return HWY_DYNAMIC_DISPATCH(peak_loop)(steps); }
void triad(const float* a, const float* b, float* c, std::size_t size) {
  HWY_DYNAMIC_DISPATCH(triad)(a, b, c, size);
}

}  // namespace renas::cpu
#endif
