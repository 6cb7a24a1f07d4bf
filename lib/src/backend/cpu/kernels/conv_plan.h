#pragma once

#include <algorithm>

#include "backend/cpu/kernels/ahead.h"
#include "backend/cpu/kernels/args.h"

/// How a dense convolution meets its sources: tiles of output pixels, the source pixels under them.
namespace renas::cpu {

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

/// Input rows, counted over all pictures, that a convolution's outputs before pixel `end` reach
/// with any of its windows: all later outputs reach rows from there on, or these again.
inline std::size_t rows_reached(const ConvArgs& args, const Map& in, std::size_t end) {
  const Map& out = args.out.map;
  const Place last(out, end - 1);
  int rows = 0;
  for (const TermArgs& t : args.terms) {
    const WindowArgs& w = t.window;
    rows = std::max(rows, last.y * w.stride - w.top + w.dilation * (w.height - 1) + 1);
  }
  if (last.y + 1 == out.height) rows = in.height;
  return last.n * static_cast<std::size_t>(in.height) +
         static_cast<std::size_t>(std::min(rows, in.height));
}

/// Whether gradients are cleared first, and all terms add: windows of a stride, or that overlap,
/// reach some pixels never and others often.
inline bool fills(const ConvArgs& args) {
  return !std::all_of(args.terms.begin(), args.terms.end(), contiguous);
}

/// Pictures of few channels, as they come.
inline bool narrow(const TermArgs& t) {
  return !contiguous(t) && t.k_channels < kBlock && t.in.scale == nullptr && !t.in.relu &&
         !t.in.data.half();
}

/// Clears the gradients that the outputs [p0, p0 + pixels) are the first to add to, of a range of
/// pictures that begins with output `begin`.
inline void clear_gradients(const ConvArgs& args, std::size_t begin, std::size_t p0, int pixels) {
  for (const TermArgs& t : args.terms) {
    const Map& in = t.in.map;
    if (!t.in.gradient || t.in.accumulate) continue;
    const std::size_t first =
        p0 == begin ? begin / args.out.map.pixels() * static_cast<std::size_t>(in.height)
                    : rows_reached(args, in, p0);
    const std::size_t last = rows_reached(args, in, p0 + static_cast<std::size_t>(pixels));
    const auto row = static_cast<std::size_t>(in.width * in.channels);
    t.in.gradient.clear(first * row, (last - first) * row);
  }
}

/// Numbers of the source that the outputs [p0, p0 + pixels) read, and what lies between them.
struct Band {
  std::size_t first = 0;
  std::size_t count = 0;  // 0: another term reads the same, or it is not known
  Band(const TermArgs& t, const Map& out, std::size_t p0, std::size_t pixels) {
    const auto channels = static_cast<std::size_t>(t.in.map.channels);
    if (contiguous(t)) {
      first = p0 * channels;
      count = pixels * channels;
    } else if (t.window.top == 0 && t.window.height == 1) {
      const auto width = static_cast<std::size_t>(out.width);
      const auto stride = static_cast<std::size_t>(t.window.stride);
      const auto row = static_cast<std::size_t>(t.in.map.width) * channels;
      const Place place(out, p0);
      first = place.n * t.in.map.size() + static_cast<std::size_t>(place.y) * stride * row;
      count = (pixels + width - 1) / width * stride * row;
    }
  }
};

/// Asks ahead for what the outputs [p0, p0 + pixels) read of the sources and, `backward`, of their
/// gradients.
inline void ask_sources(const ConvArgs& args, std::size_t p0, std::size_t pixels, bool backward,
                        Ahead& ahead) {
  for (const TermArgs& t : args.terms) {
    const Band band(t, args.out.map, p0, pixels);
    if (band.count == 0) continue;
    ahead.add(t.in.data, band.first, band.count);
    if (backward && t.in.gradient) ahead.add(t.in.gradient, band.first, band.count);
  }
}

/// Where one tile's pixels lie in the source of a `single` term; -1 beyond the map.
struct Offsets {
  std::ptrdiff_t at[kTilePixels];
  Offsets(const TermArgs& t, const Map& out, std::size_t p0, int pixels) {
    if (contiguous(t)) {
      const auto channels = static_cast<std::ptrdiff_t>(t.in.map.channels);
      const std::ptrdiff_t first = static_cast<std::ptrdiff_t>(p0) * channels;
      for (int m = 0; m < pixels; ++m) at[m] = first + m * channels;
      return;
    }
    Place place(out, p0);
    for (int m = 0; m < pixels; ++m, place.next(out)) at[m] = under(t, place, 0, 0);
  }
};

}  // namespace renas::cpu
