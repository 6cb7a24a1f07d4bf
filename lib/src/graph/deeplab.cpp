#include "graph/deeplab.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "renas/error.h"

namespace renas {

namespace {

constexpr int kFilters = 256;

/// The height or the width of a map.
struct Axis {
  int stride = 1;  // of the image's pixels between two of the map's
  int rate = 1;    // the strides that were removed before it
};

/// A node of the classifier as the new network has it.
struct Copy {
  int node = -1;
  Axis down;
  Axis across;
  int unshifted = -1;  // of a pixel shift: the node that it shifts
};

class Builder {
 public:
  Builder(const Graph& classifier, const NetworkOptions& options)
      : from_(classifier), options_(options) {}

  Graph build() {
    const int features = find_features();
    copies_.resize(from_.nodes().size());
    mark_needed(features);
    for (int i = 0; i <= features; ++i) {
      if (needed_[static_cast<std::size_t>(i)]) copy(i);
    }
    head(copies_[static_cast<std::size_t>(features)].node);
    return std::move(graph_);
  }

 private:
  /// The node that the global average pool before the scores reads.
  int find_features() {
    int at = from_.scores();
    while (at >= 0 && from_.node(at).inputs.size() == 1) {
      const Node& node = from_.node(at);
      if (node.kind == NodeKind::kLinear) columns_ = from_.parameter(node.parameters[0]).columns;
      at = node.inputs[0];
      if (node.kind == NodeKind::kGlobalAveragePool) return before_last(at);
    }
    throw InvalidInput(
        "network: DeepLab needs a body that ends in a global average pool and a classifier");
  }

  /// MobileNet-v2 ends in a 1x1 convolution, named last, that widens the features for the
  /// classifier. It stays behind.
  int before_last(int features) {
    int at = features;
    for (const char* name : {"last/relu", "last/norm", "last/conv"}) {
      if (from_.node(at).name != name) return features;
      at = from_.node(at).inputs[0];
    }
    columns_ = {};
    return at;
  }

  void mark_needed(int features) {
    needed_.resize(from_.nodes().size(), false);
    needed_[static_cast<std::size_t>(features)] = true;
    for (int i = features; i >= 0; --i) {
      if (!needed_[static_cast<std::size_t>(i)]) continue;
      for (const int in : from_.node(i).inputs) needed_[static_cast<std::size_t>(in)] = true;
    }
  }

  const Copy& input(const Node& node, std::size_t k = 0) const {
    return copies_[static_cast<std::size_t>(node.inputs[k])];
  }

  /// Lets a window keep its stride along an axis of `size` pixels, or takes it where it would
  /// exceed the output stride. Pads the end so that every stride-th pixel has an output.
  void settle(int size, int kernel, int before, int& stride, int& after, Axis& axis) const {
    if (stride == 1) return;
    if (axis.stride * stride > options_.output_stride) {
      axis.rate *= stride;
      stride = 1;
    } else {
      axis.stride *= stride;
    }
    after = std::max(after, (size - 1) / stride * stride + kernel - before - size);
  }

  /// The window that takes the place of `node`'s: without strides that exceed the output stride, in
  /// which case the copy's rates grow; and atrous if it is depthwise.
  Window window_of(const Node& node, Copy& copy) const {
    Window w = node.window;
    const Copy& in = input(node);
    const bool of_image = from_.node(node.inputs[0]).kind == NodeKind::kInput;
    const bool padded = w.padding_top + w.padding_bottom + w.padding_left + w.padding_right > 0;
    if (of_image && !padded && w.kernel_height == w.kernel_width && w.kernel_height % 2 == 1) {
      w = Window::same(w.kernel_height, w.stride_height);
    }
    const Shape& map = graph_.node(in.node).shape;
    settle(map.height, w.kernel_height, w.padding_top, w.stride_height, w.padding_bottom,
           copy.down);
    settle(map.width, w.kernel_width, w.padding_left, w.stride_width, w.padding_right, copy.across);
    const bool depthwise = node.kind == NodeKind::kConv && node.groups > 1 &&
                           node.groups == from_.node(node.inputs[0]).shape.channels;
    const int rate = std::max(in.down.rate, in.across.rate);
    if (depthwise && rate > 1) {
      w.dilation *= rate;
      w.padding_top *= rate;
      w.padding_bottom *= rate;
      w.padding_left *= rate;
      w.padding_right *= rate;
    }
    return w;
  }

  void copy(int i) {
    const Node& n = from_.node(i);
    Copy& to = copies_[static_cast<std::size_t>(i)];
    std::vector<int> in;
    for (std::size_t k = 0; k < n.inputs.size(); ++k) {
      in.push_back(input(n, k).node);
      for (const auto axis : {&Copy::down, &Copy::across}) {
        const Axis& of_input = input(n, k).*axis;
        (to.*axis).stride = std::max((to.*axis).stride, of_input.stride);
        (to.*axis).rate = std::max((to.*axis).rate, of_input.rate);
      }
    }
    switch (n.kind) {
      case NodeKind::kInput:
        to.node = graph_.input(options_.image);
        return;
      case NodeKind::kConv: {
        const int rate = to.down.rate;
        const Window window = window_of(n, to);
        if (to.down.rate > rate && input(n).unshifted >= 0) in[0] = input(n).unshifted;
        const Parameter& weight = from_.parameter(n.parameters[0]);
        to.node = graph_.conv(n.name, in[0],
                              {.out_channels = n.shape.channels,
                               .window = window,
                               .groups = n.groups,
                               .columns = weight.columns,
                               .bias = n.parameters.size() > 1,
                               .role = weight.role});
        return;
      }
      case NodeKind::kBatchNorm:
        to.node = graph_.batch_norm(n.name, in[0]);
        return;
      case NodeKind::kRelu:
        to.node = graph_.relu(n.name, in[0]);
        return;
      case NodeKind::kMaxPool:
        to.node = graph_.max_pool(n.name, in[0], window_of(n, to));
        return;
      case NodeKind::kAveragePool:
        to.node = graph_.average_pool(n.name, in[0], window_of(n, to));
        return;
      case NodeKind::kAdd:
        to.node = graph_.add(n.name, in);
        return;
      case NodeKind::kConcat:
        to.node = graph_.concat(n.name, in);
        return;
      case NodeKind::kSelectChannels:
        to.node = graph_.select_channels(n.name, in[0], n.channels);
        return;
      case NodeKind::kPixelShift:
        to.unshifted = in[0];
        to.node = graph_.pixel_shift(n.name, in[0]);
        return;
      case NodeKind::kDropout:
        to.node = graph_.dropout(n.name, in[0], n.probability);
        return;
      case NodeKind::kDropPath:
        to.node = graph_.drop_path(n.name, in[0], n.probability);
        return;
      case NodeKind::kGlobalAveragePool:
        to.node = graph_.global_average_pool(n.name, in[0]);
        return;
      default:
        throw InvalidInput(
            fmt::format("network: '{}' cannot be part of the body of DeepLab", n.name));
    }
  }

  int conv_norm_relu(const std::string& name, int in, const Window& window,
                     std::vector<ColumnGroup> columns = {}) {
    const int conv =
        graph_.conv(name + "/conv", in,
                    {.out_channels = kFilters, .window = window, .columns = std::move(columns)});
    return graph_.relu(name + "/relu", graph_.batch_norm(name + "/norm", conv));
  }

  void head(int features) {
    const Shape map = graph_.node(features).shape;
    std::vector<int> branches{conv_norm_relu("aspp/1x1", features, {}, columns_)};
    for (const int rate : {6, 12, 18}) {
      const int at_stride = rate * 16 / options_.output_stride;
      branches.push_back(conv_norm_relu(fmt::format("aspp/rate{}", rate), features,
                                        Window::same(3, 1, at_stride), columns_));
    }
    const int mean = graph_.global_average_pool("aspp/mean", features);
    branches.push_back(graph_.broadcast("aspp/broadcast",
                                        conv_norm_relu("aspp/pooling", mean, {}, columns_),
                                        map.height, map.width));
    int at = conv_norm_relu("aspp/projection", graph_.concat("aspp/concat", branches), {});
    if (options_.dropout > 0) at = graph_.dropout("segmentation/dropout", at, options_.dropout);
    at = graph_.conv(
        "segmentation/classifier", at,
        {.out_channels = options_.classes, .bias = true, .role = ParameterRole::kLinearWeight});
    at =
        graph_.resize("segmentation/resize", at, options_.image.height, options_.image.width, true);
    graph_.set_scores(at);
    graph_.cross_entropy("segmentation/loss", at, 1, options_.label_smoothing,
                         options_.class_weights);
  }

  const Graph& from_;
  const NetworkOptions& options_;
  Graph graph_;
  std::vector<Copy> copies_;          // by node of the classifier
  std::vector<bool> needed_;          // likewise: the features depend on it
  std::vector<ColumnGroup> columns_;  // of the features
};

}  // namespace

Graph make_deeplab(const Graph& classifier, const NetworkOptions& options) {
  if (options.output_stride != 8 && options.output_stride != 16) {
    throw InvalidInput(
        fmt::format("network: output stride must be 8 or 16, got {}", options.output_stride));
  }
  if (options.auxiliary) {
    throw InvalidInput("network: DeepLab has no auxiliary classifier");
  }
  return Builder(classifier, options).build();
}

}  // namespace renas
