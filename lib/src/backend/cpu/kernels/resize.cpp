#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/resize.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h:
#include "backend/cpu/kernels/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace renas::cpu {
namespace HWY_NAMESPACE {

/// to += factor * from, over `size` numbers, a multiple of kLanes.
HWY_INLINE void add_scaled(float factor, const float* from, std::size_t size, float* to) {
  const V f = hn::Set(d, factor);
  for (std::size_t i = 0; i < size; i += kLanes) {
    store(hn::MulAdd(f, load(from + i), load(to + i)), to + i);
  }
}

/// to = (1 - weight) first + weight second, over `size` numbers, a multiple of kLanes.
template <class From, class To>
HWY_INLINE void blend(const From* first, const From* second, float weight, std::size_t size,
                      To* to) {
  const V w = hn::Set(d, weight);
  for (std::size_t i = 0; i < size; i += kLanes) {
    const V a = load(first + i);
    store(hn::MulAdd(w, hn::Sub(load(second + i), a), a), to + i);
  }
}

/// Output rows one by one: the two input rows are blended into `scratch`, then columns of that.
void resize_forward(const ResizeArgs& args, int first, int last, float* scratch) {
  const Map& in = args.in.map;
  const Map& out = args.out.map;
  const std::size_t channels = out.channels;
  typed(args.in.data, [&](auto* from) HWY_ATTR {
    typed(args.out.data, [&](auto* to) HWY_ATTR {
      for (int n = first; n < last; ++n) {
        const auto* image = from + n * in.size();
        auto* pixel = to + n * out.size();
        for (const LinearTap& row : args.rows) {
          blend(image + row.first * in.row(), image + row.second * in.row(),
                static_cast<float>(row.weight), in.row(), scratch);
          for (const LinearTap& column : args.columns) {
            blend(scratch + column.first * channels, scratch + column.second * channels,
                  static_cast<float>(column.weight), channels, pixel);
            pixel += channels;
          }
        }
      }
    });
  });
}

/// The transpose of resize_forward(): sums of a row's columns, then of rows, in float32.
void resize_backward(const ResizeArgs& args, int first, int last, float* scratch) {
  const Map& in = args.in.map;
  const Map& out = args.out.map;
  const std::size_t channels = out.channels;
  float* row_sums = scratch;
  float* sums = scratch + in.row();
  for (int n = first; n < last; ++n) {
    std::fill_n(sums, in.size(), 0.0F);
    typed(args.out.gradient, [&](auto* gradient) HWY_ATTR {
      const auto* pixel = gradient + n * out.size();
      for (const LinearTap& row : args.rows) {
        std::fill_n(row_sums, in.row(), 0.0F);
        for (const LinearTap& column : args.columns) {
          const V w = hn::Set(d, static_cast<float>(column.weight));
          float* left = row_sums + column.first * channels;
          float* right = row_sums + column.second * channels;
          for (std::size_t c = 0; c < channels; c += kLanes) {
            const V g = load(pixel + c);
            const V to_right = hn::Mul(w, g);
            store(hn::Add(load(left + c), hn::Sub(g, to_right)), left + c);
            store(hn::Add(load(right + c), to_right), right + c);
          }
          pixel += channels;
        }
        const auto weight = static_cast<float>(row.weight);
        add_scaled(1 - weight, row_sums, in.row(), sums + row.first * in.row());
        add_scaled(weight, row_sums, in.row(), sums + row.second * in.row());
      }
    });
    typed(args.in.gradient, [&](auto* to) HWY_ATTR {
      to += n * in.size();
      for (std::size_t i = 0; i < in.size(); i += kLanes) {
        const V v = load(sums + i);
        store(args.in.accumulate ? hn::Add(v, load(to + i)) : v, to + i);
      }
    });
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace renas::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace renas::cpu {

HWY_EXPORT(resize_forward);
HWY_EXPORT(resize_backward);

std::size_t resize_scratch(const ResizeArgs& args) {
  return args.in.map.row() + args.in.map.size();
}
void resize_forward(const ResizeArgs& args, int first, int last, float* scratch) {
  HWY_DYNAMIC_DISPATCH(resize_forward)(args, first, last, scratch);
}
void resize_backward(const ResizeArgs& args, int first, int last, float* scratch) {
  HWY_DYNAMIC_DISPATCH(resize_backward)(args, first, last, scratch);
}

}  // namespace renas::cpu
#endif
