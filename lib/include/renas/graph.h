#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "renas/tensor.h"

namespace renas {

/// What a node of a network computes. Every backend gives the same meaning to each.
enum class NodeKind {
  kInput,       ///< the pictures, [N, C, H, W]
  kConv,        ///< cross-correlation, no bias; parameters: weight [out, in / groups, kh, kw]
  kBatchNorm,   ///< parameters: scale, shift, mean, variance, each [C]. Training normalises by the
                ///< biased batch variance; running = 0.9 running + 0.1 batch, with the unbiased
                ///< variance; inference uses the running ones; epsilon 1e-5
  kRelu,        ///<
  kMaxPool,     ///< padding never wins
  kMeanPool,    ///< padding is not counted in the mean
  kAdd,         ///< sum of two or more inputs of one shape
  kConcat,      ///< along channels, in the order of the inputs
  kShift,       ///< out(y, x) = in(y + 1, x + 1), zero beyond the edge
  kGlobalMean,  ///< mean over the map, [C, 1, 1]
  kLinear,      ///< parameters: weight [out, in], bias [out]; the input is flattened (C, H, W)
  kDropout,     ///< training: zero with `probability`, else times 1 / (1 - probability)
  kDropPath,    ///< training: as dropout, one decision a picture, with `probability` times
                ///< StepScalars::drop_path
  kCrossEntropy,  ///< mean over the batch of softmax cross-entropy of its input [classes, 1, 1]
};

/// What kind of number a parameter is: how it starts, whether it decays, whether it counts.
enum class ParameterRole { kConvWeight, kScale, kShift, kMean, kVariance, kLinearWeight, kBias };

/// A run of input channels of a weight, and where they come from. A layer that reads a
/// concatenation has one for each part; inheritance compares their labels.
struct ColumnGroup {
  std::string label;
  int channels = 0;
  bool operator==(const ColumnGroup&) const = default;
};

struct Parameter {
  std::string name;  ///< its place in the network: cell, block, slot, operator, layer
  std::vector<int64_t> shape;
  ParameterRole role = ParameterRole::kConvWeight;
  int fan_in = 0;                    ///< of conv and linear weights
  std::vector<ColumnGroup> columns;  ///< of weights that read a concatenation, else empty
  bool auxiliary = false;            ///< belongs to the auxiliary head: not counted, not kept

  int64_t size() const;
  /// Changed by SGD (all but mean and variance).
  bool trainable() const;
  /// Subject to weight decay (conv and linear weights).
  bool decays() const;
};

/// One operation. Inputs are indices of earlier nodes, so the list is in execution order.
struct Node {
  NodeKind kind = NodeKind::kInput;
  std::string name;
  std::vector<int> inputs;
  Shape shape;                  ///< of one picture's output
  std::vector<int> parameters;  ///< indices into Graph::parameters(), in the kind's order

  // Convolution and pooling. Padding is symmetric: `padding` rows above and below.
  int kernel_height = 1;
  int kernel_width = 1;
  int stride = 1;
  int padding_height = 0;
  int padding_width = 0;
  int dilation = 1;  ///< 1 is dense
  int groups = 1;

  float probability = 0;      ///< of dropping, for kDropout and kDropPath
  float loss_weight = 1;      ///< of kCrossEntropy in the training loss
  float label_smoothing = 0;  ///< of kCrossEntropy: (1 - s) on the label, s / classes everywhere
  bool auxiliary = false;     ///< needed in training only
};

/// A network as data. Built node by node; each call infers the shape, checks it (InvalidShape names
/// the node), and returns the node's index.
class Graph {
 public:
  struct ConvOptions {
    int out_channels = 0;
    int kernel_height = 1;
    int kernel_width = 1;
    int stride = 1;
    int padding_height = 0;
    int padding_width = 0;
    int dilation = 1;
    int groups = 1;
    std::vector<ColumnGroup> columns = {};
  };
  struct PoolOptions {
    int kernel_height = 3;
    int kernel_width = 3;
    int stride = 1;
    int padding_height = 1;
    int padding_width = 1;
  };

  int input(Shape shape);
  int conv(const std::string& name, int in, const ConvOptions& options);
  int batch_norm(const std::string& name, int in);
  int relu(const std::string& name, int in);
  int max_pool(const std::string& name, int in, const PoolOptions& options);
  int mean_pool(const std::string& name, int in, const PoolOptions& options);
  int add(const std::string& name, const std::vector<int>& in);
  int concat(const std::string& name, const std::vector<int>& in);
  int shift(const std::string& name, int in);
  int global_mean(const std::string& name, int in);
  int linear(const std::string& name, int in, int out, std::vector<ColumnGroup> columns = {});
  int dropout(const std::string& name, int in, float probability);
  int drop_path(const std::string& name, int in, float probability);
  int cross_entropy(const std::string& name, int in, float loss_weight, float label_smoothing);

  /// Nodes and parameters made from now on belong to the auxiliary head.
  void begin_auxiliary() { auxiliary_ = true; }
  void end_auxiliary() { auxiliary_ = false; }

  /// The node whose output is the network's answer (class scores before softmax).
  void set_scores(int node) { scores_ = node; }
  int scores() const { return scores_; }

  const std::vector<Node>& nodes() const { return nodes_; }
  const Node& node(int i) const { return nodes_[i]; }
  const std::vector<Parameter>& parameters() const { return parameters_; }
  const Parameter& parameter(int i) const { return parameters_[i]; }

  /// The graph without nodes that neither the scores nor, with `training`, a loss depend on, and
  /// without the parameters that leave with them. Without `training`, the auxiliary head, losses
  /// and dropping go too.
  Graph pruned(bool training) const;

 private:
  int add_node(Node node);
  int add_parameter(Parameter parameter);
  const Shape& input_shape(const std::string& name, int in) const;
  int pool(NodeKind kind, const std::string& name, int in, const PoolOptions& options);

  std::vector<Node> nodes_;
  std::vector<Parameter> parameters_;
  int scores_ = -1;
  bool auxiliary_ = false;
};

/// Parameters and multiply-adds of one picture's forward pass, without the auxiliary head:
/// conv weights, BN scale and shift, linear weights and bias; mult-adds of convs and linear layers.
struct Counts {
  int64_t parameters = 0;
  int64_t mult_adds = 0;
  bool operator==(const Counts&) const = default;
};
Counts count(const Graph& graph);

}  // namespace renas
