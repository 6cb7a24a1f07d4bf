#pragma once

#include <algorithm>

#include "backend/cpu/kernels/args.h"

namespace renas::cpu {

/// A run of `pixels` neighbouring outputs whose windows all cover `count` inputs: output `to`
/// covers inputs `from`, ..., `from + count - 1`; each next output starts one stride later.
/// Grouping by window size keeps edge tests out of the inner loop. (Backward, the roles are
/// swapped: inputs and the outputs that cover them.)
struct WindowRun {
  int to;
  int from;
  int count;
  int pixels;
};

/// How a pool divides its scratch memory. Ring buffers hold as many rows as the window has.
struct PoolPlan {
  PoolPlan(const PoolArgs& args, float* scratch) : window_rows(args.window.height) {
    const std::size_t step = args.in.map.channels;
    const std::size_t rows = window_rows;
    row = std::max(args.in.map.width, args.out.map.width) * step;
    ring = take(scratch, rows * row);
    combined_rows = take(scratch, row);
    across = take(scratch, row);
    if (args.max) {
      columns = take(scratch, rows * row);
      places = take(scratch, rows * row);
    }
    const std::size_t pixels = args.in.map.width + args.out.map.width;
    output_runs =
        reinterpret_cast<WindowRun*>(take(scratch, sizeof(WindowRun) / sizeof(float) * pixels));
    input_runs = output_runs == nullptr ? nullptr : output_runs + args.out.map.width;
  }
  /// The offset of a map's row y in a ring buffer.
  std::size_t slot(int y) const { return (y % window_rows) * row; }

  int window_rows;
  std::size_t row;           // floats of a row of the wider of the two maps
  std::size_t size = 0;      // floats in all
  float* ring;               // ring: activated rows, shares of gradients, or the maxima of rows
  float* combined_rows;      // rows of the ring, combined over the window's height
  float* across;             // those, combined over the window's width; or one activated row
  float* columns = nullptr;  // ring: the window's column in which a row's maximum lies
  float* places = nullptr;   // ring: window row * width + column of an output's maximum
  WindowRun* output_runs;
  WindowRun* input_runs;

 private:
  float* take(float* scratch, std::size_t floats) {
    float* part = scratch == nullptr ? nullptr : scratch + size;
    size += floats;
    return part;
  }
};

}  // namespace renas::cpu
