#pragma once

#include <string>

#include "renas/graph.h"

/// What oneDNN makes of one convolution: to compare with the fused kernels that take its place.
struct OneDnnConv {
  int batch = 1;
  int in = 1;  // channels
  int out = 1;
  int height = 1;  // of the input
  int width = 1;
  renas::Window window;
  int groups = 1;
  auto operator<=>(const OneDnnConv&) const = default;
};

struct OneDnnTimes {
  double forward = 0;  // seconds, the best of some tries
  double backward_data = 0;
  double backward_weights = 0;
  std::string implementations;  // of the three
};

/// Times the primitive alone, in whatever layout it likes best: no batch norm, ReLU or reorder.
OneDnnTimes time_onednn(const OneDnnConv& conv, int threads);

/// "2.6.3".
std::string onednn_version();
