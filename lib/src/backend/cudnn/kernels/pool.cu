#include "backend/cudnn/kernels/args.h"
#include "backend/cudnn/kernels/launcher.h"
#include "backend/cudnn/kernels/vectors.h"

namespace renas::cudnn {

/// The rows (or columns) of a map that a window covers: from `first` to before `last`.
struct Covered {
  int first, last;
};
__device__ inline Covered covered(int out, int kernel, int stride, int padding, int size) {
  const int begin = out * stride - padding;
  return {begin < 0 ? 0 : begin, begin + kernel < size ? begin + kernel : size};
}
/// The output rows (or columns) whose windows cover row `in`: from `first` to before `last`.
__device__ inline Covered covering(int in, int kernel, int stride, int padding, int size) {
  const int low = in + padding - kernel + 1;
  const int last = (in + padding) / stride + 1;
  return {low <= 0 ? 0 : (low + stride - 1) / stride, last < size ? last : size};
}

__device__ inline Covered rows_of(const PoolArgs& a, int y) {
  return covered(y, a.window.height, a.window.stride_height, a.window.top, a.in.map.height);
}
__device__ inline Covered columns_of(const PoolArgs& a, int x) {
  return covered(x, a.window.width, a.window.stride_width, a.window.left, a.in.map.width);
}

__global__ void pool_forward_kernel(const StepState* state, PoolArgs a) {
  const Place p = place_of(a.out.map, state->count, thread_index());
  if (!p.exists) return;
  const Covered rows = rows_of(a, p.y);
  const Covered columns = columns_of(a, p.x);
  Float8 y = input8(a.in, pixel_at(a.in.map, p.n, rows.first, columns.first, p.c), p.c);
  for (int r = rows.first; r < rows.last; ++r) {
    for (int s = columns.first; s < columns.last; ++s) {
      if (r == rows.first && s == columns.first) continue;
      const Float8 x = input8(a.in, pixel_at(a.in.map, p.n, r, s, p.c), p.c);
#pragma unroll
      for (int k = 0; k < kBlock; ++k) {
        if (!a.max) {
          y.v[k] += x.v[k];
        } else if (x.v[k] > y.v[k] || x.v[k] != x.v[k]) {
          y.v[k] = x.v[k];
        }
      }
    }
  }
  if (!a.max) {
    const float share =
        1.0F / static_cast<float>((rows.last - rows.first) * (columns.last - columns.first));
#pragma unroll
    for (int k = 0; k < kBlock; ++k) y.v[k] *= share;
  }
  store8(a.out.data, p.i, y);
}

/// Adds to `g` what reaches input pixel (y, x) from an output window whose first maximum, in order
/// of rows and columns, it is.
__device__ inline void add_if_maximum(const PoolArgs& a, const Place& p, int oy, int ox,
                                      const Float8& own, Float8& g) {
  const Covered rows = rows_of(a, oy);
  const Covered columns = columns_of(a, ox);
  bool is_first[kBlock];
#pragma unroll
  for (int k = 0; k < kBlock; ++k) is_first[k] = true;
  for (int r = rows.first; r < rows.last; ++r) {
    for (int s = columns.first; s < columns.last; ++s) {
      if (r == p.y && s == p.x) continue;
      const bool before = r < p.y || (r == p.y && s < p.x);
      const Float8 x = input8(a.in, pixel_at(a.in.map, p.n, r, s, p.c), p.c);
#pragma unroll
      for (int k = 0; k < kBlock; ++k) {
        if (x.v[k] > own.v[k] || (before && x.v[k] == own.v[k])) is_first[k] = false;
      }
    }
  }
  const Float8 dy = load8(a.out.gradient, pixel_at(a.out.map, p.n, oy, ox, p.c));
#pragma unroll
  for (int k = 0; k < kBlock; ++k) g.v[k] += is_first[k] ? dy.v[k] : 0;
}

__global__ void __launch_bounds__(256, 1) pool_backward_kernel(const StepState* state, PoolArgs a) {
  const Place p = place_of(a.in.map, state->count, thread_index());
  if (!p.exists) return;
  const Covered rows =
      covering(p.y, a.window.height, a.window.stride_height, a.window.top, a.out.map.height);
  const Covered columns =
      covering(p.x, a.window.width, a.window.stride_width, a.window.left, a.out.map.width);
  Float8 own = zeros8();
  if (a.max) own = input8(a.in, p.i, p.c);
  Float8 g = zeros8();
  for (int oy = rows.first; oy < rows.last; ++oy) {
    for (int ox = columns.first; ox < columns.last; ++ox) {
      if (a.max) {
        add_if_maximum(a, p, oy, ox, own, g);
        continue;
      }
      const Covered r = rows_of(a, oy);
      const Covered c = columns_of(a, ox);
      const float share = 1.0F / static_cast<float>((r.last - r.first) * (c.last - c.first));
      const Float8 dy = load8(a.out.gradient, pixel_at(a.out.map, p.n, oy, ox, p.c));
#pragma unroll
      for (int k = 0; k < kBlock; ++k) g.v[k] += share * dy.v[k];
    }
  }
  store_gradient8(a.in, p.i, p.c, g);
}

void pool_forward(const Launch& launch, const PoolArgs& args) {
  launch_places(launch, args.out.map, pool_forward_kernel, launch.state, args);
}
void pool_backward(const Launch& launch, const PoolArgs& args) {
  launch_places(launch, args.in.map, pool_backward_kernel, launch.state, args);
}

void preload_pool() { preload_all(pool_forward_kernel, pool_backward_kernel); }

}  // namespace renas::cudnn
