#include "backend/cudnn/kernels/args.h"
#include "backend/cudnn/kernels/launcher.h"
#include "backend/cudnn/kernels/vectors.h"

namespace renas::cudnn {

/// (1 - weight) a + weight b.
__device__ inline Float8 blend8(const Float8& a, const Float8& b, float weight) {
  Float8 r;
#pragma unroll
  for (int k = 0; k < kBlock; ++k) r.v[k] = fmaf(weight, b.v[k] - a.v[k], a.v[k]);
  return r;
}

/// Rows are blended first, then columns.
__global__ void resize_forward_kernel(const StepState* state, ResizeArgs a) {
  const Place p = place_of(a.out.map, state->count, thread_index());
  if (!p.exists) return;
  const ResizeTap row = a.rows[p.y];
  const ResizeTap column = a.columns[p.x];
  const auto at = [&](int y, int x) {
    return load8(a.in.data, pixel_at(a.in.map, p.n, y, x, p.c));
  };
  const auto blended = [&](int x) {
    return blend8(at(row.first, x), at(row.second, x), row.weight);
  };
  store8(a.out.data, p.i, blend8(blended(column.first), blended(column.second), column.weight));
}

/// The share of input row (or column) `of` in an output one.
__device__ inline float share_of(const ResizeTap& tap, int of) {
  return (tap.first == of ? 1 - tap.weight : 0.0F) + (tap.second == of ? tap.weight : 0.0F);
}

/// A thread gathers the gradient of one input pixel from all outputs that read it.
__global__ void resize_backward_kernel(const StepState* state, ResizeArgs a) {
  const Place p = place_of(a.in.map, state->count, thread_index());
  if (!p.exists) return;
  const ResizeReaders rows = a.of_rows[p.y];
  const ResizeReaders columns = a.of_columns[p.x];
  Float8 g = zeros8();
  for (int y = rows.first; y < rows.last; ++y) {
    const float of_row = share_of(a.rows[y], p.y);
    Float8 sum = zeros8();
    for (int x = columns.first; x < columns.last; ++x) {
      const float share = share_of(a.columns[x], p.x);
      const Float8 dy = load8(a.out.gradient, pixel_at(a.out.map, p.n, y, x, p.c));
#pragma unroll
      for (int k = 0; k < kBlock; ++k) sum.v[k] = fmaf(share, dy.v[k], sum.v[k]);
    }
#pragma unroll
    for (int k = 0; k < kBlock; ++k) g.v[k] = fmaf(of_row, sum.v[k], g.v[k]);
  }
  store_gradient8(a.in, p.i, p.c, g);
}

void resize_forward(const Launch& launch, const ResizeArgs& args) {
  launch_places(launch, args.out.map, resize_forward_kernel, launch.state, args);
}
void resize_backward(const Launch& launch, const ResizeArgs& args) {
  launch_places(launch, args.in.map, resize_backward_kernel, launch.state, args);
}

void preload_resize() { preload_all(resize_forward_kernel, resize_backward_kernel); }

}  // namespace renas::cudnn
