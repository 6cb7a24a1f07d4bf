#include "export/fold.h"

#include <algorithm>
#include <cmath>

namespace renas {
namespace {

constexpr double kEpsilon = 1e-5;  // as NodeKind::kBatchNorm says

const std::vector<float>& values_of(const Graph& graph, const Weights& weights, const Node& node,
                                    std::size_t i) {
  return weights.at(graph.parameter(node.parameters[i]).name).values;
}

ChannelAffine part_of(const ChannelAffine& whole, std::ptrdiff_t first, std::ptrdiff_t count) {
  const auto part = [&](const std::vector<double>& values) {
    return std::vector<double>(values.begin() + first, values.begin() + first + count);
  };
  return {part(whole.scale), part(whole.shift)};
}

}  // namespace

ChannelAffine affine_of(const Graph& graph, const Weights& weights, const Node& batch_norm) {
  const auto& scale = values_of(graph, weights, batch_norm, 0);
  const auto& shift = values_of(graph, weights, batch_norm, 1);
  const auto& mean = values_of(graph, weights, batch_norm, 2);
  const auto& variance = values_of(graph, weights, batch_norm, 3);
  ChannelAffine result;
  for (std::size_t c = 0; c < scale.size(); ++c) {
    const double factor = scale[c] / std::sqrt(variance[c] + kEpsilon);
    result.scale.push_back(factor);
    result.shift.push_back(shift[c] - factor * mean[c]);
  }
  return result;
}

FoldedNorms fold_batch_norms(const Graph& graph, const Weights& weights) {
  const std::vector<Node>& nodes = graph.nodes();
  std::vector<int> readers(nodes.size(), 0);
  for (const Node& node : nodes) {
    for (const int in : node.inputs) ++readers[static_cast<std::size_t>(in)];
  }
  if (graph.scores() >= 0) ++readers[static_cast<std::size_t>(graph.scores())];
  const auto takes = [&](int i) {
    return graph.node(i).kind == NodeKind::kConv && readers[static_cast<std::size_t>(i)] == 1;
  };

  FoldedNorms folded;
  folded.taken.resize(nodes.size());
  folded.gone.resize(nodes.size(), false);
  for (std::size_t n = 0; n < nodes.size(); ++n) {
    if (nodes[n].kind != NodeKind::kBatchNorm) continue;
    const int in = nodes[n].inputs[0];
    const Node& before = graph.node(in);
    const ChannelAffine affine = affine_of(graph, weights, nodes[n]);
    if (takes(in)) {
      folded.taken[static_cast<std::size_t>(in)] = affine;
      folded.gone[n] = true;
    } else if (before.kind == NodeKind::kConcat && readers[static_cast<std::size_t>(in)] == 1 &&
               std::all_of(before.inputs.begin(), before.inputs.end(), takes)) {
      std::ptrdiff_t first = 0;
      for (const int part : before.inputs) {
        const int channels = graph.node(part).shape.channels;
        folded.taken[static_cast<std::size_t>(part)] = part_of(affine, first, channels);
        first += channels;
      }
      folded.gone[n] = true;
    }
  }
  return folded;
}

}  // namespace renas
