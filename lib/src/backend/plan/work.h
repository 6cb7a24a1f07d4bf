#pragma once

#include <vector>

#include "backend/plan/maps.h"
#include "renas/graph.h"

/// Counts what a training step computes and moves at least. A roofline compares measured times with
/// it.
namespace renas::plan {

/// What one pass over a group costs at least, for one batch.
struct Work {
  double flops = 0;
  double bf16_flops = 0;            ///< of matrix products over maps in bfloat16
  double bf16_depthwise_flops = 0;  ///< of depthwise convolutions over them
  double bytes = 0;                 ///< each map that must be read or written, once

  double all_flops() const { return flops + bf16_flops + bf16_depthwise_flops; }
};

/// What a perfectly fused group does: the maps that it reads, the map that it writes, and its
/// arithmetic. The sums of batch norms cost nothing, since they are taken while a map is written.
/// Depthwise results that the backward pass computes again are not counted.
struct GroupWork {
  std::vector<InputView> inputs = {};
  OutputMap out = {};
  double mult_adds = 0;       // of one image forward
  double depthwise = 0;       // those of them that are a depthwise convolution's
  bool has_weights = false;   // a convolution: backward it also has a weight gradient
  bool reads_inputs = false;  // the backward pass reads its inputs again, even without ReLU
  bool backward = false;      // a gradient passes through it
};

Work forward_work(const GroupWork& group, int images);
/// Zero if no gradient passes through the group.
Work backward_work(const GroupWork& group, int images);
/// The cost of SGD: weights, gradients and momenta are read and written once.
Work update_work(const Graph& graph);

}  // namespace renas::plan
