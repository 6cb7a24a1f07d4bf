#include "graph/layers.h"

#include <fmt/format.h>

namespace renas {

namespace {

/// The kernel size in the name of an operator such as sep5x5 that begins with `kind`; 0: it is of
/// another kind.
int kernel_of(const std::string& op, const std::string& kind) {
  return op.starts_with(kind) && op.size() == kind.size() + 3 ? op[kind.size()] - '0' : 0;
}

/// A 2x2 window with padding at the end only, so that an odd map loses nothing.
Window two_by_two(const Shape& map, int stride) {
  Window window = Window::valid(2, 2, stride);
  window.padding_bottom = stride == 1 || map.height % 2 == 1 ? 1 : 0;
  window.padding_right = stride == 1 || map.width % 2 == 1 ? 1 : 0;
  return window;
}

}  // namespace

Map Layers::conv_norm(const std::string& name, const Map& in, int filters) {
  const int conv =
      graph_.conv(name + "/conv", in.node, {.out_channels = filters, .columns = in.columns});
  return {graph_.batch_norm(name + "/norm", conv)};
}

Map Layers::adapt(const std::string& name, const Map& in, int filters) {
  return conv_norm(name, {graph_.relu(name + "/relu", in.node), in.columns}, filters);
}

Map Layers::reduce(const std::string& name, const Map& in, int filters) {
  const Window every_other = Window::valid(1, 1, 2);
  const int even =
      graph_.conv(name + "/even", in.node,
                  {.out_channels = filters / 2, .window = every_other, .columns = in.columns});
  const int shifted = graph_.pixel_shift(name + "/shift", in.node);
  const int odd = graph_.conv(
      name + "/odd", shifted,
      {.out_channels = filters - filters / 2, .window = every_other, .columns = in.columns});
  const int both = graph_.concat(name + "/concat", {even, odd});
  return {graph_.batch_norm(name + "/norm", both)};
}

int Layers::path(const std::string& name, const std::string& op, const Map& in, int stride,
                 int filters, float drop) {
  const int out = operation(name, op, in, stride, filters);
  return drop > 0 && out != in.node ? graph_.drop_path(name + "/drop", out, drop) : out;
}

int Layers::operation(const std::string& name, const std::string& op, const Map& in, int stride,
                      int filters) {
  if (op == "identity") return identity(name, in, stride, filters);
  if (op == "conv1x1") {
    return relu_conv_norm(name, in.node, filters, Window::valid(1, 1, stride));
  }
  if (op.starts_with("bottleneck")) return bottleneck(name, op, in.node, stride, filters);
  if (const int kernel = kernel_of(op, "sep")) {
    return separable(name, in.node, kernel, stride, filters);
  }
  if (const int kernel = kernel_of(op, "dil")) {
    return dilated(name, in.node, kernel, stride, filters);
  }
  return pool(name, op, in.node, stride, filters);
}

/// Separable convolution, applied twice as in the paper: ReLU, depthwise, pointwise, batch norm.
int Layers::separable(const std::string& name, int in, int kernel, int stride, int filters) {
  int at = in;
  for (int pass = 1; pass <= 2; ++pass) {
    const int channels = shape(at).channels;
    at = graph_.relu(fmt::format("{}/relu{}", name, pass), at);
    at = graph_.conv(fmt::format("{}/depthwise{}", name, pass), at,
                     {.out_channels = channels,
                      .window = Window::same(kernel, pass == 1 ? stride : 1),
                      .groups = channels});
    at = graph_.conv(fmt::format("{}/pointwise{}", name, pass), at, {.out_channels = filters});
    at = graph_.batch_norm(fmt::format("{}/norm{}", name, pass), at);
  }
  return at;
}

int Layers::dilated(const std::string& name, int in, int kernel, int stride, int filters) {
  const int channels = shape(in).channels;
  int at = graph_.relu(name + "/relu", in);
  at = graph_.conv(
      name + "/depthwise", at,
      {.out_channels = channels, .window = Window::same(kernel, stride, 2), .groups = channels});
  at = graph_.conv(name + "/pointwise", at, {.out_channels = filters});
  return graph_.batch_norm(name + "/norm", at);
}

int Layers::relu_conv_norm(const std::string& name, int in, int filters, const Window& window) {
  int at = graph_.relu(name + "/relu", in);
  at = graph_.conv(name + "/conv", at, {.out_channels = filters, .window = window});
  return graph_.batch_norm(name + "/norm", at);
}

int Layers::bottleneck(const std::string& name, const std::string& op, int in, int stride,
                       int filters) {
  const int narrow = filters / 4;
  int at = relu_conv_norm(name + "/in", in, narrow, Window{});
  if (op == "bottleneck3x3") {
    at = relu_conv_norm(name + "/3x3", at, narrow, Window::same(3, stride));
  } else {
    Window row = Window::valid(1, 7);
    row.padding_left = row.padding_right = 3;
    row.stride_width = stride;
    Window column = Window::valid(7, 1);
    column.padding_top = column.padding_bottom = 3;
    column.stride_height = stride;
    at = relu_conv_norm(name + "/1x7", at, narrow, row);
    at = relu_conv_norm(name + "/7x1", at, narrow, column);
  }
  return relu_conv_norm(name + "/out", at, filters, Window{});
}

int Layers::identity(const std::string& name, const Map& in, int stride, int filters) {
  using Form = CellRules::StridedIdentity;
  if (stride == 1) {
    return shape(in.node).channels == filters ? in.node
                                              : relu_conv_norm(name, in.node, filters, Window{});
  }
  switch (rules_.strided_identity) {
    case Form::kMaxPool:
      break;
    case Form::kConvolution:
      return relu_conv_norm(name, in.node, filters, Window::valid(1, 1, stride));
    case Form::kReduction:
      return reduce(name, in, filters).node;
    case Form::kReluReduction:
      return reduce(name, {graph_.relu(name + "/relu", in.node)}, filters).node;
  }
  return graph_.max_pool(name + "/pool", in.node, Window::same(3, stride));
}

/// avg3x3, max3x3, max2x2; where the channels are not `filters`, 1x1 and batch norm follow.
int Layers::pool(const std::string& name, const std::string& op, int in, int stride, int filters) {
  const Window window = op == "max2x2" ? two_by_two(shape(in), stride) : Window::same(3, stride);
  const int pooled = op == "avg3x3" ? graph_.average_pool(name + "/pool", in, window)
                                    : graph_.max_pool(name + "/pool", in, window);
  return shape(pooled).channels == filters ? pooled : conv_norm(name, {pooled}, filters).node;
}

}  // namespace renas
