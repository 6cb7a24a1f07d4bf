#pragma once

#include "backend/onednn/kernels/args.h"

namespace renas::onednn {

/// Numbers of a row of the wider map.
inline std::size_t widest_row(const PoolArgs& args) {
  return static_cast<std::size_t>(std::max(args.in.map.width, args.out.map.width)) *
         static_cast<std::size_t>(args.in.map.channels);
}

/// How a maximum pool's backward divides its scratch, in floats.
struct MaxPlan {
  explicit MaxPlan(const PoolArgs& args) {
    const auto step = static_cast<std::size_t>(args.in.map.channels);
    row_in = static_cast<std::size_t>(args.in.map.width) * step;
    row_out = static_cast<std::size_t>(args.out.map.width) * step;
    shown = 0;
    largest = shown + row_in;
    column = largest + static_cast<std::size_t>(args.window.height) * row_out;
    best = column + static_cast<std::size_t>(args.window.height) * row_out;
    place = best + row_out;
    size = place + args.out.map.size();
  }
  std::size_t row_in;
  std::size_t row_out;
  std::size_t shown;    // a row as the pool sees it; later the row's gradients
  std::size_t largest;  // of each window's columns, for as many rows as the window has
  std::size_t column;   // and in which column of the kernel
  std::size_t best;     // of the rows joined so far
  std::size_t place;    // row of the kernel * its width + column, for the whole output
  std::size_t size;
};

}  // namespace renas::onednn
