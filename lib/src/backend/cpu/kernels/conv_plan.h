#pragma once

#include <algorithm>

#include "backend/cpu/kernels/args.h"
#include "backend/cpu/kernels/prefetcher.h"

/// How a dense convolution walks over its maps: tiles of output pixels, and the input pixels under
/// their windows.
namespace renas::cpu {

/// True for a 1x1 convolution of stride 1 without padding: the input map itself is the matrix.
inline bool is_pointwise(const TermArgs& t) {
  return t.window.height == 1 && t.window.width == 1 && t.window.stride_height == 1 &&
         t.window.stride_width == 1 && t.window.top == 0 && t.window.left == 0;
}

/// True if the input map can be multiplied as it lies in memory: it is float and no batch norm or
/// ReLU lies in between.
inline bool needs_no_packing(const TermArgs& t) {
  return is_pointwise(t) && t.in.scale == nullptr && !t.in.relu && !t.in.data.is_bf16();
}

/// The floats of one tile's matrix rows, and a vector more (see pack_few_channels).
inline std::size_t tile_floats(const ConvArgs& args) {
  int depth = 0;
  for (const TermArgs& t : args.terms) depth = std::max(depth, t.depth);
  return static_cast<std::size_t>(kTilePixels) * depth + kBlock;
}

/// A pixel of the output that moves on in memory order. Pixels are counted over all images.
struct PixelCursor {
  std::size_t n;
  int y;
  int x;
  PixelCursor(const Map& map, std::size_t pixel)
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

/// The offset of the input pixel under tap (r, s) of the window at `cursor`; -1 beyond the map.
inline std::ptrdiff_t tap_offset(const TermArgs& t, const PixelCursor& cursor, int r, int s) {
  const int y = cursor.y * t.window.stride_height - t.window.top + r * t.window.dilation;
  const int x = cursor.x * t.window.stride_width - t.window.left + s * t.window.dilation;
  if (y < 0 || y >= t.in.map.height || x < 0 || x >= t.in.map.width) return -1;
  return static_cast<std::ptrdiff_t>((cursor.n * t.in.map.pixels() + (y * t.in.map.width + x)) *
                                     t.in.map.channels);
}

/// True for a strided or pixel-shifted 1x1 convolution of whole blocks. Its channels can be the
/// outermost loop.
inline bool is_strided_pointwise(const TermArgs& t) {
  return t.window.height == 1 && t.window.width == 1 && t.k_channels % kBlock == 0;
}

/// The number of input rows, counted over all images, that the outputs before pixel `end` reach
/// with any window. Later outputs reach rows from there on, or some of these again.
inline std::size_t rows_reached(const ConvArgs& args, const Map& in, std::size_t end) {
  const Map& out = args.out.map;
  const PixelCursor last(out, end - 1);
  int rows = 0;
  for (const TermArgs& t : args.terms) {
    const WindowArgs& w = t.window;
    rows = std::max(rows, last.y * w.stride_height - w.top + w.dilation * (w.height - 1) + 1);
  }
  if (last.y + 1 == out.height) rows = in.height;
  return last.n * in.height + std::min(rows, in.height);
}

/// True if input gradients must be zeroed before the tile and then accumulated. With strided or
/// overlapping windows some input pixels receive no contribution and others several.
inline bool must_zero_gradients(const ConvArgs& args) {
  return !std::all_of(args.terms.begin(), args.terms.end(), is_pointwise);
}

/// True for a window over an input of few channels, such as the images, that is read as it is.
inline bool has_few_channels(const TermArgs& t) {
  return !is_pointwise(t) && t.k_channels < kBlock && t.in.scale == nullptr && !t.in.relu &&
         !t.in.data.is_bf16();
}

/// Zeroes the input gradients that the outputs [p0, p0 + pixels) are the first to add to. `begin`
/// is the first output of the image range.
inline void zero_gradients(const ConvArgs& args, std::size_t begin, std::size_t p0, int pixels) {
  for (const TermArgs& t : args.terms) {
    const Map& in = t.in.map;
    if (!t.in.gradient || t.in.accumulate) continue;
    const std::size_t first =
        p0 == begin ? begin / args.out.map.pixels() * in.height : rows_reached(args, in, p0);
    const std::size_t last = rows_reached(args, in, p0 + pixels);
    const std::size_t row = in.row();
    t.in.gradient.clear(first * row, (last - first) * row);
  }
}

/// The part of the input that covers what the outputs [p0, p0 + pixels) read.
struct InputBand {
  std::size_t first = 0;
  std::size_t count = 0;  // numbers; 0: unknown, or another term reads the same ones
  InputBand(const TermArgs& t, const Map& out, std::size_t p0, std::size_t pixels) {
    const std::size_t channels = t.in.map.channels;
    if (is_pointwise(t)) {
      first = p0 * channels;
      count = pixels * channels;
    } else if (t.window.top == 0 && t.window.height == 1) {
      const std::size_t width = out.width;
      const std::size_t stride = t.window.stride_height;
      const std::size_t row = t.in.map.width * channels;
      const PixelCursor cursor(out, p0);
      first = cursor.n * t.in.map.size() + cursor.y * stride * row;
      count = (pixels + width - 1) / width * stride * row;
    }
  }
};

/// Adds to `prefetcher` what the outputs [p0, p0 + pixels) read of the inputs and, if `backward`,
/// of their gradients.
inline void prefetch_inputs(const ConvArgs& args, std::size_t p0, std::size_t pixels, bool backward,
                            Prefetcher& prefetcher) {
  for (const TermArgs& t : args.terms) {
    const InputBand band(t, args.out.map, p0, pixels);
    if (band.count == 0) continue;
    prefetcher.add(t.in.data, band.first, band.count);
    if (backward && t.in.gradient) prefetcher.add(t.in.gradient, band.first, band.count);
  }
}

/// The offsets of one tile's pixels in the input of a pointwise or strided pointwise term; -1
/// beyond the map.
struct TileOffsets {
  std::ptrdiff_t at[kTilePixels];
  TileOffsets(const TermArgs& t, const Map& out, std::size_t p0, int pixels) {
    if (is_pointwise(t)) {
      const auto channels = static_cast<std::ptrdiff_t>(t.in.map.channels);
      const std::ptrdiff_t first = static_cast<std::ptrdiff_t>(p0) * channels;
      for (int m = 0; m < pixels; ++m) at[m] = first + m * channels;
      return;
    }
    PixelCursor cursor(out, p0);
    for (int m = 0; m < pixels; ++m, cursor.next(out)) at[m] = tap_offset(t, cursor, 0, 0);
  }
};

}  // namespace renas::cpu
