#pragma once

#include <algorithm>

#include "backend/onednn/kernels/args.h"

/// How a dense convolution meets its sources: tiles of output pixels, the source pixels under them.
namespace renas::onednn {

/// A 1x1 convolution of every pixel: the map itself is the matrix.
inline bool contiguous(const TermArgs& t) {
  return t.window.height == 1 && t.window.width == 1 && t.window.stride == 1 && t.window.top == 0 &&
         t.window.left == 0;
}

/// The map serves as it is, without normalisation or ReLU on the way.
inline bool direct(const TermArgs& t) {
  return contiguous(t) && t.in.scale == nullptr && !t.in.relu && !t.in.data.half();
}

/// Of the matrix rows of one tile, and a vector more.
inline std::size_t tile_floats(const ConvArgs& args) {
  int depth = 0;
  for (const TermArgs& t : args.terms) depth = std::max(depth, t.depth);
  return static_cast<std::size_t>(kTilePixels) * static_cast<std::size_t>(depth) + kBlock;
}

/// A pixel of the output, counted over all pictures.
struct Place {
  std::size_t n;
  int y;
  int x;
  Place(const Map& map, std::size_t pixel)
      : n(pixel / map.pixels()),
        y(static_cast<int>(pixel % map.pixels()) / map.width),
        x(static_cast<int>(pixel % map.pixels()) % map.width) {}
  void next(const Map& map) {
    if (++x < map.width) return;
    x = 0;
    if (++y < map.height) return;
    y = 0;
    ++n;
  }
};

/// Offset of the source pixel under window position (r, s); -1 beyond the map.
inline std::ptrdiff_t under(const TermArgs& t, const Place& place, int r, int s) {
  const int y = place.y * t.window.stride - t.window.top + r * t.window.dilation;
  const int x = place.x * t.window.stride - t.window.left + s * t.window.dilation;
  if (y < 0 || y >= t.in.map.height || x < 0 || x >= t.in.map.width) return -1;
  return static_cast<std::ptrdiff_t>(
      (place.n * t.in.map.pixels() + static_cast<std::size_t>(y * t.in.map.width + x)) *
      static_cast<std::size_t>(t.in.map.channels));
}

/// A strided or shifted 1x1 convolution of whole blocks: channels can go outermost.
inline bool single(const TermArgs& t) {
  return t.window.height == 1 && t.window.width == 1 && t.k_channels % kBlock == 0;
}

/// Clears the gradients that windows of a stride, or that overlap, will only add to. Returns
/// whether terms must add, those too that share a source with such a one.
inline bool clear_gradients(const ConvArgs& args, int first, int last) {
  bool fill = false;
  for (const TermArgs& t : args.terms) fill = fill || !contiguous(t);
  for (const TermArgs& t : args.terms) {
    if (!fill || !t.in.gradient || t.in.accumulate) continue;
    const std::size_t size = t.in.map.size();
    t.in.gradient.clear(static_cast<std::size_t>(first) * size,
                        static_cast<std::size_t>(last - first) * size);
  }
  return fill;
}

/// Where one tile's pixels lie in the source of a `single` term; -1 beyond the map.
struct Offsets {
  std::ptrdiff_t at[kTilePixels];
  Offsets(const TermArgs& t, const Map& out, std::size_t p0, int pixels) {
    Place place(out, p0);
    for (int m = 0; m < pixels; ++m, place.next(out)) at[m] = under(t, place, 0, 0);
  }
};

}  // namespace renas::onednn
