#pragma once

#include <algorithm>

#include "backend/cpu/kernels/args.h"

namespace renas::cpu {

/// Pixels side by side that join equally many others: pixel `to` those from `from` on, the next of
/// the run those from the next on.
struct Run {
  int to;
  int from;
  int count;
  int pixels;
};

/// How a pool divides its scratch. Rings hold as many rows as the window has.
struct PoolPlan {
  PoolPlan(const PoolArgs& args, float* scratch) : window_rows(args.window.height) {
    const auto step = static_cast<std::size_t>(args.in.map.channels);
    const auto rows = static_cast<std::size_t>(window_rows);
    row = static_cast<std::size_t>(std::max(args.in.map.width, args.out.map.width)) * step;
    ring = take(scratch, rows * row);
    column_wise = take(scratch, row);
    across = take(scratch, row);
    if (args.max) {
      columns = take(scratch, rows * row);
      places = take(scratch, rows * row);
    }
    const auto pixels = static_cast<std::size_t>(args.in.map.width + args.out.map.width);
    output_runs = reinterpret_cast<Run*>(take(scratch, sizeof(Run) / sizeof(float) * pixels));
    input_runs = output_runs == nullptr ? nullptr : output_runs + args.out.map.width;
  }
  /// Where row y of a map lies in a ring.
  std::size_t slot(int y) const { return static_cast<std::size_t>(y % window_rows) * row; }

  int window_rows;
  std::size_t row;           // floats of the wider map's row
  std::size_t size = 0;      // floats of all
  float* ring;               // of rows as seen, or of shares of gradients, or of rows' largest
  float* column_wise;        // rows of the ring joined
  float* across;             // then columns; or a row as seen
  float* columns = nullptr;  // ring: in which column of the kernel a row's largest lies
  float* places = nullptr;   // ring: kernel row * width + column of an output's largest
  Run* output_runs;
  Run* input_runs;

 private:
  float* take(float* scratch, std::size_t floats) {
    float* part = scratch == nullptr ? nullptr : scratch + size;
    size += floats;
    return part;
  }
};

}  // namespace renas::cpu
