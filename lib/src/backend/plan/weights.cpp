#include "backend/plan/weights.h"

#include <algorithm>

namespace renas::plan {

namespace {

std::size_t size(int a, int b) { return static_cast<std::size_t>(a) * b; }

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
  w.height = node.window.kernel_height;
  w.width = node.window.kernel_width;
  w.stride_height = node.window.stride_height;
  w.stride_width = node.window.stride_width;
  w.top = node.window.padding_top;
  w.left = node.window.padding_left;
  w.dilation = node.window.dilation;
  return w;
}

void append_term(const Graph& graph, const Term& term, const TermMatrix& matrix,
                 GroupWeights& weights) {
  const Node& node = graph.node(term.conv);
  const int groups = node.kind == NodeKind::kConv ? node.groups : 1;
  const int per_group = graph.node(node.inputs[0]).shape.channels / groups;
  const int out_per_group = node.shape.channels / groups;
  WeightMap map;
  map.parameter = node.parameters[0];
  for (int p = 0; p < matrix.positions; ++p) {
    for (int c = 0; c < matrix.channels; ++c) {
      for (int o = 0; o < node.shape.channels; ++o) {
        const int in = term.in_first + c - o / out_per_group * per_group;  // within the filter
        if (in < 0 || in >= per_group) continue;  // another group's: the matrix holds zero
        const int row = p * matrix.k_channels + c;
        const int column = term.out_first + o;
        const std::size_t element = (size(o, per_group) + in) * matrix.positions + p;
        add(map, element, weights.forward_size + size(row, matrix.columns) + column,
            weights.backward_size + size(column, matrix.depth) + row);
      }
    }
  }
  weights.maps.push_back(std::move(map));
  weights.forward_size += size(matrix.depth, matrix.columns);
  weights.backward_size += size(matrix.columns, matrix.depth);
}

void append_depthwise(const Node& depthwise, int padded_channels, int block,
                      GroupWeights& weights) {
  const int positions = depthwise.window.kernel_height * depthwise.window.kernel_width;
  const int channels = depthwise.shape.channels;
  WeightMap map;
  map.parameter = depthwise.parameters[0];
  for (int first = 0; first < channels; first += block) {
    const std::size_t kernels = size(first, positions);
    for (int p = 0; p < positions; ++p) {
      for (int c = first; c < std::min(channels, first + block); ++c) {
        const int lane = c - first;
        add(map, size(c, positions) + p, weights.forward_size + kernels + size(p, block) + lane,
            weights.backward_size + kernels + size(positions - 1 - p, block) + lane);
      }
    }
  }
  weights.maps.push_back(std::move(map));
  weights.forward_size += size(padded_channels, positions);
  weights.backward_size += size(padded_channels, positions);
}

void append_pointwise(const Node& pointwise, int in, int rows, int columns, GroupWeights& weights) {
  const int channels = pointwise.shape.channels;
  WeightMap map;
  map.parameter = pointwise.parameters[0];
  for (int c = 0; c < in; ++c) {
    for (int o = 0; o < channels; ++o) {
      add(map, size(o, in) + c, weights.forward_size + size(c, columns) + o,
          weights.backward_size + size(o, rows) + c);
    }
  }
  weights.maps.push_back(std::move(map));
  weights.forward_size += size(rows, columns);
  weights.backward_size += size(rows, columns);
}

}  // namespace renas::plan
