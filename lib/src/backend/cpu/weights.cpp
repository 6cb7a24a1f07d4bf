#include "backend/cpu/weights.h"

#include <algorithm>

namespace renas::cpu {

namespace {

std::size_t size(int a, int b) { return static_cast<std::size_t>(a) * static_cast<std::size_t>(b); }

void add(WeightMap& map, std::size_t element, std::size_t forward, std::size_t backward) {
  map.element.push_back(static_cast<uint32_t>(element));
  map.forward.push_back(static_cast<uint32_t>(forward));
  map.backward.push_back(static_cast<uint32_t>(backward));
}

}  // namespace

WindowArgs window_of(const Node& node, const Shape& in) {
  WindowArgs w;
  if (node.kind == NodeKind::kLinear) {
    w.height = in.height;
    w.width = in.width;
    return w;
  }
  w.height = node.kernel_height;
  w.width = node.kernel_width;
  w.stride = node.stride;
  w.top = node.padding_height;
  w.left = node.padding_width;
  w.dilation = node.kind == NodeKind::kConv ? node.dilation : 1;
  return w;
}

GroupWeights map_weights(const Graph& graph, const Group& group, ConvArgs& conv) {
  GroupWeights result;
  const int columns = conv.out.map.channels;
  for (std::size_t k = 0; k < group.terms.size(); ++k) {
    const Term& term = group.terms[k];
    TermArgs& args = conv.terms[k];
    const Node& node = graph.node(term.conv);
    const int groups = node.kind == NodeKind::kConv ? node.groups : 1;
    const int per_group = graph.node(node.inputs[0]).shape.channels / groups;
    const int out_per_group = node.shape.channels / groups;
    const int positions = args.window.height * args.window.width;
    // `k_channels` holds the part's channels on entry.
    const int channels = args.k_channels;
    const bool one =
        positions == 1 && args.window.stride == 1 && args.window.top == 0 && args.window.left == 0;
    if (one || channels >= kBlock) args.k_channels = args.in.map.channels;
    args.depth = padded(positions * args.k_channels);
    args.weight_gradient = result.forward_size;
    WeightMap map;
    map.parameter = node.parameters[0];
    for (int p = 0; p < positions; ++p) {
      for (int c = 0; c < channels; ++c) {
        for (int o = 0; o < node.shape.channels; ++o) {
          const int in = term.in_first + c - o / out_per_group * per_group;  // within the filter
          if (in < 0 || in >= per_group) continue;  // another group's: the matrix holds zero
          const int row = p * args.k_channels + c;
          const int column = term.out_first + o;
          add(map,
              (size(o, per_group) + static_cast<std::size_t>(in)) *
                      static_cast<std::size_t>(positions) +
                  static_cast<std::size_t>(p),
              result.forward_size + size(row, columns) + static_cast<std::size_t>(column),
              result.backward_size + size(column, args.depth) + static_cast<std::size_t>(row));
        }
      }
    }
    result.maps.push_back(std::move(map));
    result.forward_size += size(args.depth, columns);
    result.backward_size += size(columns, args.depth);
  }
  return result;
}

GroupWeights map_weights(const Graph& graph, const Group& group, SeparableArgs& separable) {
  GroupWeights result;
  const Node& depthwise = graph.node(group.depthwise);
  const int positions = separable.window.height * separable.window.width;
  WeightMap map;
  map.parameter = depthwise.parameters[0];
  const int channels = depthwise.shape.channels;
  for (int first = 0; first < channels; first += kBlock) {
    const std::size_t block = size(first, positions);
    for (int p = 0; p < positions; ++p) {
      for (int c = first; c < std::min(channels, first + kBlock); ++c) {
        const auto lane = static_cast<std::size_t>(c - first);
        add(map, size(c, positions) + static_cast<std::size_t>(p), block + size(p, kBlock) + lane,
            block + size(positions - 1 - p, kBlock) + lane);
      }
    }
  }
  result.maps.push_back(std::move(map));
  separable.depthwise_gradient = 0;
  result.forward_size = size(separable.in.map.channels, positions);
  result.backward_size = result.forward_size;
  if (group.pointwise < 0) return result;
  const Node& pointwise = graph.node(group.pointwise);
  const int columns = separable.out.map.channels;
  const int rows = separable.in.map.channels;
  separable.pointwise_gradient = result.forward_size;
  WeightMap matrix;
  matrix.parameter = pointwise.parameters[0];
  const int in = channels;
  for (int c = 0; c < in; ++c) {
    for (int o = 0; o < pointwise.shape.channels; ++o) {
      add(matrix, size(o, in) + static_cast<std::size_t>(c),
          result.forward_size + size(c, columns) + static_cast<std::size_t>(o),
          result.backward_size + size(o, rows) + static_cast<std::size_t>(c));
    }
  }
  result.maps.push_back(std::move(matrix));
  result.forward_size += size(rows, columns);
  result.backward_size += size(rows, columns);
  return result;
}

}  // namespace renas::cpu
