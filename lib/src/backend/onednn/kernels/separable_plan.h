#pragma once

#include <algorithm>

#include "backend/onednn/kernels/args.h"

namespace renas::onednn {

/// How a separable convolution divides its scratch.
///
/// `picture` holds one input picture, blocked, rows widened by the window's reach. `gradients`
/// holds the depthwise result's gradient, `lead` pixels of zeros before each row and enough after
/// it, so that the data gradient is a forward convolution with the kernel flipped: of stride 1, or
/// for a stride of 2 one for even and one for odd columns.
struct SeparablePlan {
  explicit SeparablePlan(const SeparableArgs& args) {
    const Map& in = args.in.map;
    const Map& out = args.out.map;
    const WindowArgs& w = args.window;
    const int reach = w.dilation * (w.width - 1) + 1;
    blocks = in.channels / kBlock;
    weights = static_cast<std::size_t>(w.height * w.width) * kBlock;
    width_in = std::max(w.left + in.width, (out.width - 1) * w.stride + reach);
    plane_in = static_cast<std::size_t>(in.height * width_in) * kBlock;
    picture_size = plane_in * static_cast<std::size_t>(blocks);
    lead = std::max(0, (reach - 1) / w.stride - w.left / w.stride);
    width_out = lead + std::max(out.width, (in.width - 1 + w.left) / w.stride + 1);
    plane_out = static_cast<std::size_t>(out.height * width_out) * kBlock;
    gradients_size = plane_out * static_cast<std::size_t>(blocks);
    tile_rows = std::max(1, std::min(out.height, kTilePixels / out.width));
    const auto pixels = static_cast<std::size_t>(tile_rows * out.width);
    tile_size = pixels * static_cast<std::size_t>(in.channels);
    raw_size = pixels * static_cast<std::size_t>(out.channels);
  }

  std::size_t row_in(int block, int y) const {
    return static_cast<std::size_t>(block) * plane_in +
           static_cast<std::size_t>(y * width_in) * kBlock;
  }
  std::size_t row_out(int block, int y) const {
    return static_cast<std::size_t>(block) * plane_out +
           static_cast<std::size_t>(y * width_out) * kBlock;
  }

  /// Where the gradient of output (y, 0) lies.
  std::size_t gradient_at(int block, int y) const {
    return row_out(block, y) + static_cast<std::size_t>(lead) * kBlock;
  }

  int blocks;
  std::size_t weights;  // floats of a block's kernel
  int width_in;
  std::size_t plane_in;
  std::size_t picture_size;
  int lead;
  int width_out;
  std::size_t plane_out;
  std::size_t gradients_size;
  int tile_rows;
  std::size_t tile_size;
  std::size_t raw_size;
};

}  // namespace renas::onednn
