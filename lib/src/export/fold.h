#pragma once

#include <optional>
#include <vector>

#include "renas/graph.h"
#include "renas/tensor.h"

namespace renas {

/// A factor and a summand of each channel.
struct ChannelAffine {
  std::vector<double> scale;
  std::vector<double> shift;
};

/// The batch norms that disappear from a network for inference, since the convolutions before them
/// can take them in: scale * convolution + shift.
struct FoldedNorms {
  std::vector<std::optional<ChannelAffine>> taken;  ///< by node: what a convolution takes in
  std::vector<bool> gone;                           ///< by node: a batch norm that has disappeared
};

/// The affine map that a batch norm is in inference.
ChannelAffine affine_of(const Graph& graph, const Weights& weights, const Node& batch_norm);

/// Folds every batch norm that follows a convolution, or a concatenation of convolutions, that
/// nothing else reads.
FoldedNorms fold_batch_norms(const Graph& graph, const Weights& weights);

}  // namespace renas
