#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "renas/tensor.h"

namespace renas {

/// The operation of a node. Every backend computes the same function for each kind.
enum class NodeKind {
  /// The input images, [N, C, H, W].
  kInput,
  /// Convolution (cross-correlation) with zero padding. Parameters: weight
  /// [out, in / groups, kernel height, kernel width] and, where asked for, bias [out].
  kConv,
  /// Batch normalisation. Parameters: scale, shift, mean, variance, each [C]. Training normalises
  /// by the biased variance of the batch, and updates running = 0.9 running + 0.1 batch with the
  /// unbiased one. Inference normalises by the running mean and variance. Epsilon is 1e-5.
  kBatchNorm,
  /// Rectified linear unit, max(0, x).
  kRelu,
  /// Max pool; padding never wins.
  kMaxPool,
  /// Average pool; padding is not counted in the average.
  kAveragePool,
  /// Sum of two or more inputs of one shape.
  kAdd,
  /// Concatenation along channels, in the order of the inputs.
  kConcat,
  /// Some of the input's channels in another order: output channel k is input channel
  /// Node::channels[k]. A channel shuffle takes all of them, a split some; none is taken twice.
  kSelectChannels,
  /// Pixel shift: out(y, x) = in(y + 1, x + 1), zero beyond the edge.
  kPixelShift,
  /// Global average pool over height and width, [C, 1, 1].
  kGlobalAveragePool,
  /// Fully connected layer on the input flattened as (C, H, W). Parameters: weight [out, in], bias
  /// [out].
  kLinear,
  /// Dropout. Training sets an element to zero with `probability` and multiplies it by
  /// 1 / (1 - probability) otherwise; inference is the identity.
  kDropout,
  /// Drop path: as dropout, but with one decision for each image, and with `probability` times
  /// StepScalars::drop_path.
  kDropPath,
  /// Bilinear resize of a map to another height and width. Output pixel y reads row
  /// (y + 1/2) h / H - 1/2 of h rows, or with Node::align_corners row y (h - 1) / (H - 1), between
  /// its two neighbours and not beyond the edge; columns likewise.
  kResize,
  /// A map of one pixel repeated over a height and a width.
  kBroadcast,
  /// Softmax cross-entropy of the input [classes, H, W], averaged over the labels that count: one a
  /// pixel of the batch, which for classification, where H = W = 1, is one an image.
  kCrossEntropy,
};

/// The role of a parameter in its layer. It decides how the parameter is initialised, whether
/// weight decay applies, and whether it is counted.
enum class ParameterRole { kConvWeight, kScale, kShift, kMean, kVariance, kLinearWeight, kBias };

/// A group of neighbouring input channels of a weight, labelled by the block they come from. A
/// layer that reads a concatenation has one group for each part. Weight inheritance compares the
/// labels.
struct ColumnGroup {
  std::string label;
  int channels = 0;
  bool operator==(const ColumnGroup&) const = default;
};

/// A parameter tensor of the network.
struct Parameter {
  std::string name;  ///< its place in the network: cell, block, slot, operator, layer
  std::vector<int64_t> shape;
  ParameterRole role = ParameterRole::kConvWeight;
  int fan_in = 0;                    ///< inputs of one output, for conv and linear weights
  std::vector<ColumnGroup> columns;  ///< for weights that read a concatenation, else empty
  bool auxiliary = false;            ///< belongs to the auxiliary head: neither counted nor kept

  /// The number of its elements.
  int64_t size() const;
  /// Whether SGD changes the parameter: every role but kMean and kVariance.
  bool trainable() const;
  /// Whether weight decay applies: conv and linear weights.
  bool decays() const;
};

/// The window of a convolution or pool: the input pixels that one output pixel reads.
///
/// All in pixels. Dilation is the same in both directions.
struct Window {
  int kernel_height = 1;
  int kernel_width = 1;
  int stride_height = 1;
  int stride_width = 1;
  int padding_top = 0;
  int padding_bottom = 0;
  int padding_left = 0;
  int padding_right = 0;
  int dilation = 1;  ///< distance between the taps of a kernel; 1 is dense

  /// A square window over an odd number of taps. It is padded on all sides so that the map keeps
  /// its size where the stride is 1.
  static Window same(int kernel, int stride = 1, int dilation = 1);
  /// A window without padding.
  static Window valid(int kernel_height, int kernel_width, int stride = 1);

  /// The shape of the output map on a map of shape `in`, with as many channels. The window must fit
  /// into the padded map.
  Shape output(const Shape& in) const;
  auto operator<=>(const Window&) const = default;
};

/// A node is one operation of a network. Its inputs are indices of earlier nodes, so a list of
/// nodes is in execution order.
struct Node {
  NodeKind kind = NodeKind::kInput;
  std::string name;
  std::vector<int> inputs;
  Shape shape;                  ///< of the output for one image
  std::vector<int> parameters;  ///< indices into Graph::parameters(), in the order NodeKind gives

  Window window;   ///< of a convolution or pool
  int groups = 1;  ///< of a convolution; as many as channels: depthwise

  bool align_corners = false;  ///< kResize
  std::vector<int> channels;   ///< kSelectChannels: of the input, by output channel

  float probability = 0;      ///< kDropout, kDropPath: probability of dropping
  float loss_weight = 1;      ///< kCrossEntropy: its factor in the training loss
  float label_smoothing = 0;  ///< kCrossEntropy: target 1 - s on the label plus s / classes on all
  /// kCrossEntropy: the factor of the loss of a label of each class; empty: 1 for all. The loss is
  /// the sum of the weighted losses over the number of labels that count.
  std::vector<float> class_weights;
  bool auxiliary = false;  ///< belongs to the auxiliary head: needed in training only
};

/// A network as data: nodes in execution order and the parameters they use.
///
/// A graph is built node by node. Each call names the nodes it reads by their index (`in`), infers
/// and checks the shape of the new node's output, and returns the new node's index. It throws
/// InvalidShape, with the node's name, if the shapes do not fit.
class Graph {
 public:
  /// The form of a convolution; see Node for its fields.
  struct ConvOptions {
    int out_channels = 0;
    Window window = {};  ///< 1x1 unless given
    int groups = 1;
    std::vector<ColumnGroup> columns = {};
    bool bias = false;
    ParameterRole role = ParameterRole::kConvWeight;  ///< of the weight; how it is initialised
  };

  int input(Shape shape);
  int conv(const std::string& name, int in, const ConvOptions& options);
  int batch_norm(const std::string& name, int in);
  int relu(const std::string& name, int in);
  int max_pool(const std::string& name, int in, const Window& window);
  int average_pool(const std::string& name, int in, const Window& window);
  int add(const std::string& name, const std::vector<int>& in);
  int concat(const std::string& name, const std::vector<int>& in);
  int select_channels(const std::string& name, int in, std::vector<int> channels);
  int pixel_shift(const std::string& name, int in);
  int global_average_pool(const std::string& name, int in);
  int linear(const std::string& name, int in, int out, std::vector<ColumnGroup> columns = {});
  int resize(const std::string& name, int in, int height, int width, bool align_corners = false);
  int broadcast(const std::string& name, int in, int height, int width);
  int dropout(const std::string& name, int in, float probability);
  int drop_path(const std::string& name, int in, float probability);
  /// `class_weights` has a finite number of 0 or more for each class, or none.
  int cross_entropy(const std::string& name, int in, float loss_weight, float label_smoothing,
                    std::vector<float> class_weights = {});

  /// Nodes and parameters made between these two calls belong to the auxiliary head.
  void begin_auxiliary() { auxiliary_ = true; }
  void end_auxiliary() { auxiliary_ = false; }

  /// The scores are the output of the network: one node's class scores before softmax (logits).
  void set_scores(int node) { scores_ = node; }
  int scores() const { return scores_; }

  const std::vector<Node>& nodes() const { return nodes_; }
  const Node& node(int i) const { return nodes_[i]; }
  const std::vector<Parameter>& parameters() const { return parameters_; }
  const Parameter& parameter(int i) const { return parameters_[i]; }

  /// Returns the graph without dead nodes and their parameters: what neither the scores nor, with
  /// `training`, a loss depends on. Without `training`, the auxiliary head, losses and dropout go
  /// too.
  Graph pruned(bool training) const;

 private:
  int add_node(Node node);
  int add_parameter(Parameter parameter);
  const Shape& input_shape(const std::string& name, int in) const;
  int pool(NodeKind kind, const std::string& name, int in, const Window& window);
  int add_bias(const std::string& name, int channels);

  std::vector<Node> nodes_;
  std::vector<Parameter> parameters_;
  int scores_ = -1;
  bool auxiliary_ = false;
};

/// The size of a network without its auxiliary head: its number of parameters (conv weights, batch
/// norm scale and shift, linear weights and bias) and the multiply-adds of one image's forward pass
/// (convolutions and linear layers).
struct Counts {
  int64_t parameters = 0;
  int64_t mult_adds = 0;
  bool operator==(const Counts&) const = default;
};
/// Counts the parameters and multiply-adds of `graph`.
Counts count(const Graph& graph);

}  // namespace renas
