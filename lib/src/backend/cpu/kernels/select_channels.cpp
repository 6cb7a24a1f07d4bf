#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/select_channels.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h:
#include "backend/cpu/kernels/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace renas::cpu {
namespace HWY_NAMESPACE {

/// Pixel by pixel: the channels are loaded into `scratch`, put in order there, and stored. Padding
/// becomes zero.
void select_channels_forward(const SelectChannelsArgs& args, int first, int last, float* scratch) {
  const std::size_t in = args.in.map.channels;
  const std::size_t out = args.out.map.channels;
  const std::size_t begin = first * args.out.map.pixels();
  const std::size_t end = last * args.out.map.pixels();
  float* const pixel = scratch;
  float* const selected = scratch + in;
  std::fill_n(selected, out, 0.0F);
  typed(args.in.data, [&](auto* from) HWY_ATTR {
    typed(args.out.data, [&](auto* to) HWY_ATTR {
      for (std::size_t p = begin; p < end; ++p) {
        for (std::size_t c = 0; c < in; c += kLanes) store(load(from + p * in + c), pixel + c);
        for (std::size_t k = 0; k < args.channels.size(); ++k) {
          selected[k] = pixel[args.channels[k]];
        }
        for (std::size_t c = 0; c < out; c += kLanes) store(load(selected + c), to + p * out + c);
      }
    });
  });
}

/// The transpose of select_channels_forward(): the gradient of a channel that was not selected is
/// zero.
void select_channels_backward(const SelectChannelsArgs& args, int first, int last, float* scratch) {
  const std::size_t in = args.in.map.channels;
  const std::size_t out = args.out.map.channels;
  const std::size_t begin = first * args.out.map.pixels();
  const std::size_t end = last * args.out.map.pixels();
  float* const pixel = scratch;
  float* const selected = scratch + in;
  std::fill_n(pixel, in, 0.0F);
  typed(args.out.gradient, [&](auto* from) HWY_ATTR {
    typed(args.in.gradient, [&](auto* to) HWY_ATTR {
      for (std::size_t p = begin; p < end; ++p) {
        for (std::size_t c = 0; c < out; c += kLanes) store(load(from + p * out + c), selected + c);
        for (std::size_t k = 0; k < args.channels.size(); ++k) {
          pixel[args.channels[k]] = selected[k];
        }
        for (std::size_t c = 0; c < in; c += kLanes) {
          const V g = load(pixel + c);
          store(args.in.accumulate ? hn::Add(g, load(to + p * in + c)) : g, to + p * in + c);
        }
      }
    });
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace renas::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace renas::cpu {

HWY_EXPORT(select_channels_forward);
HWY_EXPORT(select_channels_backward);

std::size_t select_channels_scratch(const SelectChannelsArgs& args) {
  return static_cast<std::size_t>(args.in.map.channels) + args.out.map.channels;
}
void select_channels_forward(const SelectChannelsArgs& args, int first, int last, float* scratch) {
  HWY_DYNAMIC_DISPATCH(select_channels_forward)(args, first, last, scratch);
}
void select_channels_backward(const SelectChannelsArgs& args, int first, int last, float* scratch) {
  HWY_DYNAMIC_DISPATCH(select_channels_backward)(args, first, last, scratch);
}

}  // namespace renas::cpu
#endif
