#include "renas/graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "renas/error.h"

namespace renas {

namespace {

std::vector<int64_t> vector_shape(int channels) { return {channels}; }

/// Whether nodes of this kind serve training only.
bool only_in_training(NodeKind kind) {
  return kind == NodeKind::kDropout || kind == NodeKind::kDropPath ||
         kind == NodeKind::kCrossEntropy;
}

/// The number of pixels from the first tap of a kernel to its last, both included.
int span_of(int kernel, int dilation) { return dilation * (kernel - 1) + 1; }

/// A window along the height or the width.
struct Extent {
  int kernel;
  int stride;
  int before;  // padding
  int after;   // padding
  int dilation;

  /// The number of windows on `size` pixels.
  int output(int size) const {
    return (size + before + after - span_of(kernel, dilation)) / stride + 1;
  }
};

Extent height_of(const Window& w) {
  return {w.kernel_height, w.stride_height, w.padding_top, w.padding_bottom, w.dilation};
}
Extent width_of(const Window& w) {
  return {w.kernel_width, w.stride_width, w.padding_left, w.padding_right, w.dilation};
}

/// Throws InvalidShape unless the window fits into `size` pixels.
void expect_fit(const std::string& name, int size, const Extent& e) {
  if (e.kernel < 1 || e.stride < 1 || e.before < 0 || e.after < 0 || e.dilation < 1 ||
      size + e.before + e.after < span_of(e.kernel, e.dilation)) {
    throw InvalidShape(
        fmt::format("{}: a window of {} (dilation {}, stride {}, padding {} and {}) does not fit "
                    "into {} pixels",
                    name, e.kernel, e.dilation, e.stride, e.before, e.after, size));
  }
}

/// The output shape of a window on a map. Throws InvalidShape if the window does not fit.
Shape output_shape(const std::string& name, const Shape& in, const Window& window) {
  expect_fit(name, in.height, height_of(window));
  expect_fit(name, in.width, width_of(window));
  return window.output(in);
}

}  // namespace

Shape Window::output(const Shape& in) const {
  return {in.channels, height_of(*this).output(in.height), width_of(*this).output(in.width)};
}

Window Window::same(int kernel, int stride, int dilation) {
  const int padding = dilation * (kernel - 1) / 2;
  return {kernel, kernel, stride, stride, padding, padding, padding, padding, dilation};
}

Window Window::valid(int kernel_height, int kernel_width, int stride) {
  return {kernel_height, kernel_width, stride, stride};
}

int64_t Parameter::size() const {
  int64_t product = 1;
  for (const int64_t n : shape) {
    product *= n;
  }
  return product;
}

bool Parameter::trainable() const {
  return role != ParameterRole::kMean && role != ParameterRole::kVariance;
}

bool Parameter::decays() const {
  return role == ParameterRole::kConvWeight || role == ParameterRole::kLinearWeight;
}

int Graph::add_node(Node node) {
  node.auxiliary = auxiliary_ || node.auxiliary;
  nodes_.push_back(std::move(node));
  return static_cast<int>(nodes_.size()) - 1;
}

int Graph::add_parameter(Parameter parameter) {
  parameter.auxiliary = auxiliary_;
  parameters_.push_back(std::move(parameter));
  return static_cast<int>(parameters_.size()) - 1;
}

int Graph::add_bias(const std::string& name, int channels) {
  Parameter bias;
  bias.name = name + "/bias";
  bias.shape = vector_shape(channels);
  bias.role = ParameterRole::kBias;
  return add_parameter(std::move(bias));
}

const Shape& Graph::input_shape(const std::string& name, int in) const {
  if (in < 0 || static_cast<std::size_t>(in) >= nodes_.size()) {
    throw InvalidShape(fmt::format("{}: reads node {}, but the graph has {} nodes so far", name, in,
                                   nodes_.size()));
  }
  return node(in).shape;
}

int Graph::input(Shape shape) {
  Node n;
  n.kind = NodeKind::kInput;
  n.name = "input";
  n.shape = shape;
  if (shape.channels < 1 || shape.height < 1 || shape.width < 1) {
    throw InvalidShape(fmt::format("input: no image has the size {}", to_string(shape)));
  }
  return add_node(std::move(n));
}

int Graph::conv(const std::string& name, int in, const ConvOptions& o) {
  const Shape from = input_shape(name, in);
  if (o.out_channels < 1 || o.groups < 1 || from.channels % o.groups != 0 ||
      o.out_channels % o.groups != 0) {
    throw InvalidShape(fmt::format("{}: {} input and {} output channels cannot form {} groups",
                                   name, from.channels, o.out_channels, o.groups));
  }
  Node n;
  n.kind = NodeKind::kConv;
  n.name = name;
  n.inputs = {in};
  n.window = o.window;
  n.shape = output_shape(name, from, n.window);
  n.shape.channels = o.out_channels;
  n.groups = o.groups;
  Parameter weight;
  weight.name = name + "/weight";
  weight.shape = {o.out_channels, from.channels / o.groups, n.window.kernel_height,
                  n.window.kernel_width};
  weight.role = o.role;
  weight.fan_in = from.channels / o.groups * n.window.kernel_height * n.window.kernel_width;
  weight.columns = o.columns;
  n.parameters = {add_parameter(std::move(weight))};
  if (o.bias) n.parameters.push_back(add_bias(name, o.out_channels));
  return add_node(std::move(n));
}

int Graph::batch_norm(const std::string& name, int in) {
  Node n;
  n.kind = NodeKind::kBatchNorm;
  n.name = name;
  n.inputs = {in};
  n.shape = input_shape(name, in);
  const struct {
    const char* suffix;
    ParameterRole role;
  } kinds[] = {{"/scale", ParameterRole::kScale},
               {"/shift", ParameterRole::kShift},
               {"/mean", ParameterRole::kMean},
               {"/variance", ParameterRole::kVariance}};
  for (const auto& kind : kinds) {
    Parameter p;
    p.name = name + kind.suffix;
    p.shape = vector_shape(n.shape.channels);
    p.role = kind.role;
    n.parameters.push_back(add_parameter(std::move(p)));
  }
  return add_node(std::move(n));
}

int Graph::relu(const std::string& name, int in) {
  Node n;
  n.kind = NodeKind::kRelu;
  n.name = name;
  n.inputs = {in};
  n.shape = input_shape(name, in);
  return add_node(std::move(n));
}

int Graph::pool(NodeKind kind, const std::string& name, int in, const Window& w) {
  const Shape from = input_shape(name, in);
  if (w.dilation != 1) {
    throw InvalidShape(fmt::format("{}: a pool has dilation 1, got {}", name, w.dilation));
  }
  if (std::max(w.padding_top, w.padding_bottom) >= w.kernel_height ||
      std::max(w.padding_left, w.padding_right) >= w.kernel_width) {
    throw InvalidShape(
        fmt::format("{}: padding of {}, {}, {}, {} (top, bottom, left, right) makes "
                    "windows of {}x{} without a pixel",
                    name, w.padding_top, w.padding_bottom, w.padding_left, w.padding_right,
                    w.kernel_height, w.kernel_width));
  }
  Node n;
  n.kind = kind;
  n.name = name;
  n.inputs = {in};
  n.window = w;
  n.shape = output_shape(name, from, n.window);
  return add_node(std::move(n));
}

int Graph::max_pool(const std::string& name, int in, const Window& window) {
  return pool(NodeKind::kMaxPool, name, in, window);
}

int Graph::average_pool(const std::string& name, int in, const Window& window) {
  return pool(NodeKind::kAveragePool, name, in, window);
}

int Graph::add(const std::string& name, const std::vector<int>& in) {
  if (in.size() < 2) {
    throw InvalidShape(fmt::format("{}: a sum needs two inputs or more", name));
  }
  Node n;
  n.kind = NodeKind::kAdd;
  n.name = name;
  n.inputs = in;
  n.shape = input_shape(name, in.front());
  for (const int i : in) {
    if (input_shape(name, i) != n.shape) {
      throw InvalidShape(fmt::format("{}: cannot add {} ({}) and {} ({})", name, to_string(n.shape),
                                     node(in.front()).name, to_string(node(i).shape),
                                     node(i).name));
    }
  }
  return add_node(std::move(n));
}

int Graph::concat(const std::string& name, const std::vector<int>& in) {
  if (in.empty()) {
    throw InvalidShape(fmt::format("{}: nothing to concatenate", name));
  }
  Node n;
  n.kind = NodeKind::kConcat;
  n.name = name;
  n.inputs = in;
  n.shape = input_shape(name, in.front());
  n.shape.channels = 0;
  for (const int i : in) {
    const Shape& part = input_shape(name, i);
    if (part.height != n.shape.height || part.width != n.shape.width) {
      throw InvalidShape(fmt::format("{}: cannot concatenate maps of {}x{} and {}x{} ({})", name,
                                     n.shape.height, n.shape.width, part.height, part.width,
                                     node(i).name));
    }
    n.shape.channels += part.channels;
  }
  return add_node(std::move(n));
}

int Graph::select_channels(const std::string& name, int in, std::vector<int> channels) {
  const Shape& from = input_shape(name, in);
  std::vector<bool> taken(static_cast<std::size_t>(from.channels), false);
  if (channels.empty()) throw InvalidShape(fmt::format("{}: no channel is selected", name));
  for (const int channel : channels) {
    if (channel < 0 || channel >= from.channels) {
      throw InvalidShape(
          fmt::format("{}: expected channels 0 to {}, got {}", name, from.channels - 1, channel));
    }
    if (taken[static_cast<std::size_t>(channel)]) {
      throw InvalidShape(fmt::format("{}: channel {} is selected twice", name, channel));
    }
    taken[static_cast<std::size_t>(channel)] = true;
  }
  Node n;
  n.kind = NodeKind::kSelectChannels;
  n.name = name;
  n.inputs = {in};
  n.shape = from;
  n.shape.channels = static_cast<int>(channels.size());
  n.channels = std::move(channels);
  return add_node(std::move(n));
}

int Graph::pixel_shift(const std::string& name, int in) {
  Node n;
  n.kind = NodeKind::kPixelShift;
  n.name = name;
  n.inputs = {in};
  n.shape = input_shape(name, in);
  return add_node(std::move(n));
}

int Graph::global_average_pool(const std::string& name, int in) {
  Node n;
  n.kind = NodeKind::kGlobalAveragePool;
  n.name = name;
  n.inputs = {in};
  n.shape = {input_shape(name, in).channels, 1, 1};
  return add_node(std::move(n));
}

int Graph::linear(const std::string& name, int in, int out, std::vector<ColumnGroup> columns) {
  const int64_t width = input_shape(name, in).size();
  if (out < 1) {
    throw InvalidShape(fmt::format("{}: needs an output, got {}", name, out));
  }
  Node n;
  n.kind = NodeKind::kLinear;
  n.name = name;
  n.inputs = {in};
  n.shape = {out, 1, 1};
  Parameter weight;
  weight.name = name + "/weight";
  weight.shape = {out, width};
  weight.role = ParameterRole::kLinearWeight;
  weight.fan_in = static_cast<int>(width);
  weight.columns = std::move(columns);
  n.parameters = {add_parameter(std::move(weight))};
  n.parameters.push_back(add_bias(name, out));
  return add_node(std::move(n));
}

int Graph::resize(const std::string& name, int in, int height, int width, bool align_corners) {
  Node n;
  n.kind = NodeKind::kResize;
  n.name = name;
  n.inputs = {in};
  n.shape = {input_shape(name, in).channels, height, width};
  n.align_corners = align_corners;
  if (height < 1 || width < 1) {
    throw InvalidShape(fmt::format("{}: no map has the size {}x{}", name, height, width));
  }
  return add_node(std::move(n));
}

int Graph::broadcast(const std::string& name, int in, int height, int width) {
  const Shape& from = input_shape(name, in);
  if (from.height != 1 || from.width != 1) {
    throw InvalidShape(
        fmt::format("{}: expected a map of one pixel, got {}", name, to_string(from)));
  }
  const int node = resize(name, in, height, width);
  nodes_.back().kind = NodeKind::kBroadcast;
  return node;
}

int Graph::dropout(const std::string& name, int in, float probability) {
  Node n;
  n.kind = NodeKind::kDropout;
  n.name = name;
  n.inputs = {in};
  n.shape = input_shape(name, in);
  n.probability = probability;
  return add_node(std::move(n));
}

int Graph::drop_path(const std::string& name, int in, float probability) {
  const int node = dropout(name, in, probability);
  nodes_.back().kind = NodeKind::kDropPath;
  return node;
}

int Graph::cross_entropy(const std::string& name, int in, float loss_weight, float label_smoothing,
                         std::vector<float> class_weights) {
  const Shape from = input_shape(name, in);
  if (!class_weights.empty() && static_cast<int>(class_weights.size()) != from.channels) {
    throw InvalidShape(fmt::format("{}: expected {} class weights, one a class, got {}", name,
                                   from.channels, class_weights.size()));
  }
  for (const float weight : class_weights) {
    if (!std::isfinite(weight) || weight < 0) {
      throw InvalidInput(
          fmt::format("{}: class weight {}: expected a finite number, 0 or more", name, weight));
    }
  }
  Node n;
  n.kind = NodeKind::kCrossEntropy;
  n.name = name;
  n.inputs = {in};
  n.shape = {1, 1, 1};
  n.loss_weight = loss_weight;
  n.label_smoothing = label_smoothing;
  n.class_weights = std::move(class_weights);
  return add_node(std::move(n));
}

Graph Graph::pruned(bool training) const {
  std::vector<bool> live(nodes_.size(), false);
  for (std::size_t i = nodes_.size(); i-- > 0;) {
    const Node& n = nodes_[i];
    live[i] = live[i] || static_cast<int>(i) == scores_ || n.kind == NodeKind::kInput ||
              (training && n.kind == NodeKind::kCrossEntropy);
    if (!live[i]) {
      continue;
    }
    for (const int in : n.inputs) {
      live[in] = true;
    }
  }

  Graph result;
  std::vector<int> new_node(nodes_.size(), -1);
  std::vector<int> new_parameter(parameters_.size(), -1);
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (!live[i]) {
      continue;
    }
    Node n = nodes_[i];
    if (!training && only_in_training(n.kind)) {
      new_node[i] = new_node[n.inputs.front()];
      continue;
    }
    for (int& in : n.inputs) {
      in = new_node[in];
    }
    for (int& p : n.parameters) {
      int& target = new_parameter[p];
      if (target < 0) {
        target = static_cast<int>(result.parameters_.size());
        result.parameters_.push_back(parameter(p));
      }
      p = target;
    }
    new_node[i] = static_cast<int>(result.nodes_.size());
    result.nodes_.push_back(std::move(n));
  }
  result.scores_ = scores_ < 0 ? -1 : new_node[scores_];
  return result;
}

Counts count(const Graph& graph) {
  Counts counts;
  for (const Parameter& p : graph.parameters()) {
    if (!p.auxiliary && p.trainable()) {
      counts.parameters += p.size();
    }
  }
  for (const Node& n : graph.nodes()) {
    if (n.auxiliary || (n.kind != NodeKind::kConv && n.kind != NodeKind::kLinear)) {
      continue;
    }
    counts.mult_adds +=
        graph.parameter(n.parameters.front()).size() * n.shape.height * n.shape.width;
  }
  return counts;
}

}  // namespace renas
