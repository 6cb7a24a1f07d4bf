#pragma once

#include <algorithm>
#include <cstring>

#include "backend/cpu/kernels/args.h"

namespace renas::cpu {

/// How a separable convolution divides its scratch memory.
///
/// The output is computed in tiles of `tile_rows` rows. `input` holds the activated input rows that
/// a tile's windows cover: blocked, and widened by the columns that the window reaches beyond the
/// map. `gradients` holds rows of the depthwise result's gradient, with `lead` zero pixels before
/// each row and enough after it. The zeros make the data gradient a forward convolution with the
/// flipped kernel: one of stride 1 or, for stride 2, one for even and one for odd columns.
///
/// Both are ring buffers: row y lies where row y - rows_in (rows_out) lay, which no later tile
/// needs. They therefore stay in the nearest cache whatever the height of the map.
struct SeparablePlan {
  explicit SeparablePlan(const SeparableArgs& args) {
    const Map& in = args.in.map;
    const Map& out = args.out.map;
    const WindowArgs& w = args.window;
    const int reach = w.dilation * (w.width - 1) + 1;
    blocks = in.channels / kBlock;
    weights = static_cast<std::size_t>(w.height * w.width) * kBlock;
    width_in = std::max(w.left + in.width, (out.width - 1) * w.stride_width + reach);
    lead = std::max(0, (reach - 1) / w.stride_width - w.left / w.stride_width);
    width_out = lead + std::max(out.width, (in.width - 1 + w.left) / w.stride_width + 1);
    tile_rows = std::max(1, std::min(out.height, kTilePixels / out.width));
    size_rings(args);
    plane_in = static_cast<std::size_t>(rows_in * width_in) * kBlock;
    input_size = plane_in * blocks;
    plane_out = static_cast<std::size_t>(rows_out * width_out) * kBlock;
    gradients_size = plane_out * blocks;
    const std::size_t pixels = tile_rows * out.width;
    tile_size = pixels * in.channels;
    gradient_tile_size = pixels * out.channels;
  }

  std::size_t row_in(int block, int y) const {
    return block * plane_in + static_cast<std::size_t>(y % rows_in * width_in) * kBlock;
  }
  std::size_t row_out(int block, int y) const {
    return block * plane_out + static_cast<std::size_t>(y % rows_out * width_out) * kBlock;
  }

  /// The offset of the gradient of output (y, 0).
  std::size_t gradient_at(int block, int y) const {
    return row_out(block, y) + static_cast<std::size_t>(lead) * kBlock;
  }

  /// The number of input rows that the outputs before row y1 read.
  static int rows_read(const SeparableArgs& args, int y1) {
    const WindowArgs& w = args.window;
    return std::min(args.in.map.height,
                    (y1 - 1) * w.stride_height - w.top + w.dilation * (w.height - 1) + 1);
  }

  /// The number of leading input rows that no output from row y1 on reads: their gradient is
  /// complete.
  static int rows_done(const SeparableArgs& args, int y1) {
    if (y1 == args.out.map.height) return args.in.map.height;
    return std::min(args.in.map.height, y1 * args.window.stride_height - args.window.top);
  }

  int blocks;
  std::size_t weights;  // floats of one block's depthwise kernel
  int width_in;
  int rows_in;
  std::size_t plane_in;
  std::size_t input_size;
  int lead;
  int width_out;
  int rows_out;
  std::size_t plane_out;
  std::size_t gradients_size;
  int tile_rows;
  std::size_t tile_size;
  std::size_t gradient_tile_size;

 private:
  /// Sizes the ring buffers by walking through the tiles as the kernels do: the most rows between
  /// the first that a tile needs and the last that is loaded by then.
  void size_rings(const SeparableArgs& args) {
    const WindowArgs& w = args.window;
    rows_in = rows_out = 1;
    int done = 0;
    for (int y0 = 0; y0 < args.out.map.height; y0 += tile_rows) {
      const int y1 = std::min(args.out.map.height, y0 + tile_rows);
      const int first_in = std::max(0, std::min(done, y0 * w.stride_height - w.top));
      const int next = rows_done(args, y1);
      rows_in = std::max(rows_in, std::max(rows_read(args, y1), next) - first_in);
      const int first_over =
          std::max(0, (done + w.top - w.dilation * (w.height - 1)) / w.stride_height);
      rows_out = std::max(rows_out, y1 - std::min(y0, first_over));
      done = std::max(done, next);
    }
  }
};

/// Zeroes columns [0, first) and [last, width) of every row; a row has `width` pixels.
inline void clear_edges(float* rows, std::size_t count, int width, int first, int last) {
  const std::size_t row = static_cast<std::size_t>(width) * kBlock;
  for (std::size_t r = 0; r < count; ++r, rows += row) {
    std::memset(rows, 0, static_cast<std::size_t>(first) * kBlock * sizeof(float));
    std::memset(rows + static_cast<std::size_t>(last) * kBlock, 0,
                static_cast<std::size_t>(width - last) * kBlock * sizeof(float));
  }
}

}  // namespace renas::cpu
