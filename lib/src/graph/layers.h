#pragma once

#include <string>
#include <vector>

#include "graph/cell_rules.h"
#include "renas/graph.h"

namespace renas {

/// A feature map of the network, and the parts it was concatenated from.
struct Map {
  int node = -1;
  std::vector<ColumnGroup> columns = {};
};

/// The layers that cells are made of, appended to a graph.
class Layers {
 public:
  Layers(Graph& graph, const CellRules& rules) : graph_(graph), rules_(rules) {}

  const Shape& shape(int node) const { return graph_.node(node).shape; }
  /// 1x1 convolution and batch norm.
  Map conv_norm(const std::string& name, const Map& in, int filters);
  /// Adapts a map to a number of filters: ReLU, 1x1 convolution, batch norm.
  Map adapt(const std::string& name, const Map& in, int filters);
  /// Factorized reduction, which halves height and width, without its ReLU: half of the filters
  /// reads pixels (2i, 2j), the other half pixels (2i+1, 2j+1), which a pixel shift brings to the
  /// place of the first.
  Map reduce(const std::string& name, const Map& in, int filters);
  /// An operator of a block and its drop path. A plain identity is never dropped, as in NASNet's
  /// published code. The result has `filters` channels.
  int path(const std::string& name, const std::string& op, const Map& in, int stride, int filters,
           float drop);

 private:
  int operation(const std::string& name, const std::string& op, const Map& in, int stride,
                int filters);
  int separable(const std::string& name, int in, int kernel, int stride, int filters);
  int dilated(const std::string& name, int in, int kernel, int stride, int filters);
  int bottleneck(const std::string& name, const std::string& op, int in, int stride, int filters);
  int identity(const std::string& name, const Map& in, int stride, int filters);
  int relu_conv_norm(const std::string& name, int in, int filters, const Window& window);
  int pool(const std::string& name, const std::string& op, int in, int stride, int filters);

  Graph& graph_;
  const CellRules& rules_;
};

}  // namespace renas
