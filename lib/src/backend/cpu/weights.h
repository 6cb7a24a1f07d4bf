#pragma once

#include <cstdint>
#include <vector>

#include "backend/cpu/plan.h"

namespace renas::cpu {

/// Where the elements of one parameter lie in a group's kernels. A group's packed weights have a
/// forward part, whose layout its weight gradients share, and a backward part (transposed,
/// flipped).
struct WeightMap {
  int parameter = -1;
  std::vector<uint32_t> element;   // of the parameter, dense OIHW
  std::vector<uint32_t> forward;   // offset in the forward part, ascending
  std::vector<uint32_t> backward;  // offset in the backward part
};

struct GroupWeights {
  std::vector<WeightMap> maps;
  std::size_t forward_size = 0;   // floats
  std::size_t backward_size = 0;  // floats
};

/// Of a kConv or kSeparable group; fills the offsets of `conv` or `separable` into both parts.
GroupWeights map_weights(const Graph& graph, const Group& group, ConvArgs& conv);
GroupWeights map_weights(const Graph& graph, const Group& group, SeparableArgs& separable);

/// A convolution's or linear layer's window over maps of `in`; a linear layer covers the whole map.
WindowArgs window_of(const Node& node, const Shape& in);

}  // namespace renas::cpu
