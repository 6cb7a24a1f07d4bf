#include <algorithm>
#include <cmath>
#include <limits>

#include "renas/backend.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/pixel_loss.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h:
#include <hwy/contrib/math/math-inl.h>

#include "backend/cpu/kernels/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace renas::cpu {
namespace HWY_NAMESPACE {

/// The scores of one pixel: channels from c on, with `beyond` in the padding.
HWY_INLINE V scores_at(const float* scores, int c, int classes, float beyond) {
  const V v = load(scores + c);
  if (c + kLanes <= classes) return v;
  return hn::IfThenElse(hn::FirstN(d, std::max(0, classes - c)), v, hn::Set(d, beyond));
}

/// Whether class `label`, which has the largest score, is the first that has it.
HWY_INLINE bool is_first(const float* scores, int label) {
  for (int k = 0; k < label; ++k) {
    if (scores[k] == scores[label]) return false;
  }
  return true;
}

/// Adds `gradient` to `to` or stores it there, as `args` says.
HWY_INLINE void put(const PixelLossArgs& args, V gradient, float* to) {
  store(args.accumulate ? hn::Add(gradient, load(to)) : gradient, to);
}

PixelLossSums pixel_loss(const PixelLossArgs& args) {
  constexpr float kLowest = -std::numeric_limits<float>::infinity();
  PixelLossSums sums;
  const float* scores = args.scores;
  float* gradient = args.gradient;
  const std::size_t channels = args.channels;
  const float smooth = args.smoothing / static_cast<float>(args.classes);
  for (std::size_t p = 0; p < args.pixels; ++p, scores += channels) {
    const int label = args.labels[p];
    float* to = gradient == nullptr ? nullptr : gradient + p * channels;
    if (label == kIgnored) {
      for (std::size_t c = 0; to != nullptr && c < channels; c += kLanes) {
        put(args, zero(), to + c);
      }
      continue;
    }
    V top = hn::Set(d, kLowest);
    V differences = zero();  // 0, or NaN where a score is no finite number
    for (int c = 0; c < args.classes; c += kLanes) {
      top = hn::Max(top, scores_at(scores, c, args.classes, kLowest));
      const V finite = scores_at(scores, c, args.classes, 0);
      differences = hn::Add(differences, hn::Sub(finite, finite));
    }
    const V largest = hn::MaxOfLanes(d, top);
    V exponentials = zero();
    V plain = zero();
    for (int c = 0; c < args.classes; c += kLanes) {
      const V v = hn::Sub(scores_at(scores, c, args.classes, kLowest), largest);
      exponentials = hn::Add(exponentials, hn::Exp(d, v));
      plain = hn::Add(plain, scores_at(scores, c, args.classes, 0));
    }
    const float total = hn::GetLane(hn::SumOfLanes(d, exponentials));
    const float none = hn::GetLane(hn::SumOfLanes(d, differences));
    const double highest = hn::GetLane(largest);
    const double log_total = std::log(static_cast<double>(total)) + highest;
    const double own = 1.0 - args.smoothing;
    const float weight = args.class_weights == nullptr ? 1.0F : args.class_weights[label];
    const double mean = smooth == 0 ? 0 : hn::GetLane(hn::SumOfLanes(d, plain));
    sums.loss += weight * (log_total - own * scores[label] - smooth * mean) + none;
    ++sums.count;
    if (none == 0 && scores[label] == highest && is_first(scores, label)) ++sums.correct;
    if (to == nullptr) continue;
    const float factor = weight * args.gradient_factor;
    const V share = hn::Set(d, factor / total);
    const V less = hn::Set(d, factor * smooth - none);
    for (std::size_t c = 0; c < channels; c += kLanes) {
      const int at = static_cast<int>(c);
      if (at >= args.classes) {
        put(args, zero(), to + c);
        continue;
      }
      const V v = hn::Sub(scores_at(scores, at, args.classes, kLowest), largest);
      V g = hn::MulSub(share, hn::Exp(d, v), less);
      if (at + kLanes > args.classes) {
        g = hn::IfThenElseZero(hn::FirstN(d, args.classes - at), g);
      }
      put(args, g, to + c);
    }
    to[label] -= static_cast<float>(own) * factor;
  }
  return sums;
}

}  // namespace HWY_NAMESPACE
}  // namespace renas::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace renas::cpu {

HWY_EXPORT(pixel_loss);

PixelLossSums pixel_loss(const PixelLossArgs& args) {
  return HWY_DYNAMIC_DISPATCH(pixel_loss)(args);
}

}  // namespace renas::cpu
#endif
