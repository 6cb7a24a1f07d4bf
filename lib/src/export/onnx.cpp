// The network as ONNX, node by node. Each node of the graph becomes one ONNX node of the same
// meaning, but for: batch norms that convolutions take in; the pixel shift, which becomes a Slice
// and the padding of the convolutions behind it (of opset 13's Pad, Slice is the half that every
// runtime has right); the linear layer, which becomes Flatten and Gemm. AveragePool's and MaxPool's
// padding is equal on all sides, not counted, without ceil_mode, since runtimes differ in the rest.

#include <fmt/format.h>
#include <onnx/checker.h>
#include <onnx/onnx_pb.h>

#include <cmath>
#include <limits>
#include <utility>

#include "core/files.h"
#include "export/description.h"
#include "export/fold.h"
#include "renas/error.h"
#include "renas/export.h"

namespace renas {
namespace {

constexpr int kOpset = 13;
constexpr int kIrVersion = 7;
constexpr float kEpsilon = 1e-5F;
constexpr const char* kInputName = "images";

using Ints = std::vector<int64_t>;

Ints pads_of(const Window& w) {
  return {w.padding_top, w.padding_left, w.padding_bottom, w.padding_right};
}

class OnnxWriter {
 public:
  OnnxWriter(const Model& model, const OnnxOptions& options)
      : model_(model), options_(options), graph_(graph_of(model)) {
    if (options.keep_batch_norm) {
      folded_.taken.resize(graph_.nodes().size());
      folded_.gone.resize(graph_.nodes().size(), false);
    } else {
      folded_ = fold_batch_norms(graph_, model.weights);
    }
  }

  onnx::ModelProto write();

 private:
  void write_node(int index);
  void write_input(const Node& node);
  void write_conv(int index);
  void write_batch_norm(const Node& node);
  void write_resize(const Node& node);
  void write_pool(const Node& node, const char* type);
  void write_shift(int index);
  void write_linear(const Node& node);
  void write_metadata(onnx::ModelProto& file) const;

  /// Adds a node that reads `inputs`; its value has the node's name.
  onnx::NodeProto& add(const std::string& type, const std::string& name,
                       const std::vector<std::string>& inputs);
  static void set(onnx::NodeProto& node, const char* name, int64_t value);
  static void set(onnx::NodeProto& node, const char* name, const Ints& values);
  static void set_text(onnx::NodeProto& node, const char* name, const char* text);
  std::string constant(const std::string& name, const Ints& shape,
                       const std::vector<float>& values);
  std::string constant(const std::string& name, const Ints& values);
  std::string parameter(const Node& node, std::size_t i);
  /// The value that node `i` of the graph is.
  const std::string& value(int i) const { return values_[static_cast<std::size_t>(i)]; }
  const std::string& input_of(const Node& node) const { return value(node.inputs[0]); }
  /// Whether all that reads pixel shift `i` is 1x1 convolutions, which can pad.
  bool convolutions_pad(int i) const;

  const Model& model_;
  const OnnxOptions& options_;
  Graph graph_;
  FoldedNorms folded_;
  std::vector<std::string> values_;  // by node
  onnx::GraphProto out_;
};

onnx::NodeProto& OnnxWriter::add(const std::string& type, const std::string& name,
                                 const std::vector<std::string>& inputs) {
  onnx::NodeProto& node = *out_.add_node();
  node.set_op_type(type);
  node.set_name(name);
  for (const std::string& input : inputs) node.add_input(input);
  node.add_output(name);
  return node;
}

void OnnxWriter::set(onnx::NodeProto& node, const char* name, int64_t value) {
  onnx::AttributeProto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(onnx::AttributeProto::INT);
  attribute.set_i(value);
}

void OnnxWriter::set(onnx::NodeProto& node, const char* name, const Ints& values) {
  onnx::AttributeProto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(onnx::AttributeProto::INTS);
  for (const int64_t value : values) attribute.add_ints(value);
}

void OnnxWriter::set_text(onnx::NodeProto& node, const char* name, const char* text) {
  onnx::AttributeProto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(onnx::AttributeProto::STRING);
  attribute.set_s(text);
}

std::string OnnxWriter::constant(const std::string& name, const Ints& shape,
                                 const std::vector<float>& values) {
  onnx::TensorProto& tensor = *out_.add_initializer();
  tensor.set_name(name);
  tensor.set_data_type(onnx::TensorProto::FLOAT);
  for (const int64_t length : shape) tensor.add_dims(length);
  // Raw data are little-endian, as every machine is that RENAS runs on.
  tensor.set_raw_data(values.data(), values.size() * sizeof(float));
  return name;
}

std::string OnnxWriter::constant(const std::string& name, const Ints& values) {
  onnx::TensorProto& tensor = *out_.add_initializer();
  tensor.set_name(name);
  tensor.set_data_type(onnx::TensorProto::INT64);
  tensor.add_dims(std::ssize(values));
  for (const int64_t value : values) tensor.add_int64_data(value);
  return name;
}

std::string OnnxWriter::parameter(const Node& node, std::size_t i) {
  const std::string& name = graph_.parameter(node.parameters[i]).name;
  const Tensor& tensor = model_.weights.at(name);
  return constant(name, tensor.shape, tensor.values);
}

void OnnxWriter::write_input(const Node& node) {
  onnx::ValueInfoProto& input = *out_.add_input();
  input.set_name(kInputName);
  onnx::TypeProto_Tensor& type = *input.mutable_type()->mutable_tensor_type();
  const bool bytes = options_.input == ExportInput::kBytes;
  type.set_elem_type(bytes ? onnx::TensorProto::UINT8 : onnx::TensorProto::FLOAT);
  type.mutable_shape()->add_dim()->set_dim_param("N");
  for (const int length : {node.shape.channels, node.shape.height, node.shape.width}) {
    type.mutable_shape()->add_dim()->set_dim_value(length);
  }
  std::string at(kInputName);
  if (options_.input != ExportInput::kNormalised) {
    std::vector<float> scale;
    std::vector<float> offset;
    for (std::size_t c = 0; c < model_.mean.size(); ++c) {
      const double range = bytes ? 255.0 : 1.0;
      scale.push_back(static_cast<float>(1.0 / (range * model_.sd[c])));
      offset.push_back(static_cast<float>(-model_.mean[c] / model_.sd[c]));
    }
    const Ints shape{1, node.shape.channels, 1, 1};
    if (bytes) {
      onnx::NodeProto& cast = add("Cast", "normalise/float", {at});
      set(cast, "to", onnx::TensorProto::FLOAT);
      at = cast.output(0);
    }
    at = add("Mul", "normalise/scaled", {at, constant("normalise/scale", shape, scale)}).output(0);
    at = add("Add", "normalise/shifted", {at, constant("normalise/offset", shape, offset)})
             .output(0);
  }
  values_.push_back(at);
}

bool OnnxWriter::convolutions_pad(int i) const {
  for (const Node& reader : graph_.nodes()) {
    for (const int in : reader.inputs) {
      if (in != i) continue;
      if (reader.kind != NodeKind::kConv || reader.window.kernel_height != 1 ||
          reader.window.kernel_width != 1 || reader.window.padding_bottom != 0 ||
          reader.window.padding_right != 0) {
        return false;
      }
    }
  }
  return !options_.plain;
}

void OnnxWriter::write_shift(int index) {
  const Node& node = graph_.node(index);
  const std::string& name = node.name;
  const int64_t end = std::numeric_limits<int32_t>::max();
  const std::string sliced = convolutions_pad(index) ? name : name + "/slice";
  add("Slice", sliced,
      {input_of(node), constant(name + "/starts", {1, 1}), constant(name + "/ends", {end, end}),
       constant(name + "/axes", {2, 3})});
  if (sliced != name) {
    add("Pad", name, {sliced, constant(name + "/pads", {0, 0, 0, 0, 0, 0, 1, 1})});
  }
  values_.push_back(name);
}

void OnnxWriter::write_conv(int index) {
  const Node& node = graph_.node(index);
  const std::string& name = graph_.parameter(node.parameters[0]).name;
  const Tensor& tensor = model_.weights.at(name);
  std::vector<std::string> inputs{input_of(node)};
  const auto& affine = folded_.taken[static_cast<std::size_t>(index)];
  std::vector<float> bias(static_cast<std::size_t>(node.shape.channels));
  const bool has_bias = node.parameters.size() > 1;
  if (has_bias) bias = model_.weights.at(graph_.parameter(node.parameters[1]).name).values;
  if (affine) {
    std::vector<float> weights = tensor.values;
    const std::size_t each = weights.size() / affine->scale.size();
    for (std::size_t i = 0; i < weights.size(); ++i) {
      weights[i] = static_cast<float>(weights[i] * affine->scale[i / each]);
    }
    for (std::size_t c = 0; c < bias.size(); ++c) {
      bias[c] = static_cast<float>(affine->scale[c] * bias[c] + affine->shift[c]);
    }
    inputs.push_back(constant(name, tensor.shape, weights));
  } else {
    inputs.push_back(constant(name, tensor.shape, tensor.values));
  }
  if (affine || has_bias) {
    inputs.push_back(constant(node.name + "/bias", {std::ssize(bias)}, bias));
  }
  onnx::NodeProto& conv = add("Conv", node.name, inputs);
  Window w = node.window;
  const int before = node.inputs[0];
  if (graph_.node(before).kind == NodeKind::kPixelShift && convolutions_pad(before)) {
    w.padding_bottom = w.padding_right = 1;  // the row and column that the slice has left out
  }
  set(conv, "kernel_shape", Ints{w.kernel_height, w.kernel_width});
  set(conv, "strides", Ints{w.stride_height, w.stride_width});
  set(conv, "pads", pads_of(w));
  set(conv, "dilations", Ints{w.dilation, w.dilation});
  set(conv, "group", node.groups);
  values_.push_back(node.name);
}

void OnnxWriter::write_batch_norm(const Node& node) {
  onnx::NodeProto& norm = add("BatchNormalization", node.name,
                              {input_of(node), parameter(node, 0), parameter(node, 1),
                               parameter(node, 2), parameter(node, 3)});
  onnx::AttributeProto& epsilon = *norm.add_attribute();
  epsilon.set_name("epsilon");
  epsilon.set_type(onnx::AttributeProto::FLOAT);
  epsilon.set_f(kEpsilon);
  values_.push_back(node.name);
}

void OnnxWriter::write_pool(const Node& node, const char* type) {
  const Window& w = node.window;
  if (w.dilation != 1) {
    throw Unsupported(fmt::format("ONNX: {} is a pool with dilation", node.name));
  }
  onnx::NodeProto& pool = add(type, node.name, {input_of(node)});
  set(pool, "kernel_shape", Ints{w.kernel_height, w.kernel_width});
  set(pool, "strides", Ints{w.stride_height, w.stride_width});
  set(pool, "pads", pads_of(w));
  if (node.kind == NodeKind::kAveragePool) set(pool, "count_include_pad", 0);
  values_.push_back(node.name);
}

void OnnxWriter::write_linear(const Node& node) {
  const std::string flat = node.name + "/flatten";
  set(add("Flatten", flat, {input_of(node)}), "axis", 1);
  set(add("Gemm", node.name, {flat, parameter(node, 0), parameter(node, 1)}), "transB", 1);
  values_.push_back(node.name);
}

void OnnxWriter::write_resize(const Node& node) {
  // The new sizes have the batch's own number of images, which the graph reads from the map.
  const std::string& name = node.name;
  add("Shape", name + "/shape", {input_of(node)});
  add("Slice", name + "/batch",
      {name + "/shape", constant(name + "/start", {0}), constant(name + "/end", {1})});
  const Ints map{node.shape.channels, node.shape.height, node.shape.width};
  const std::string sizes = name + "/sizes";
  set(add("Concat", sizes, {name + "/batch", constant(name + "/map", map)}), "axis", 0);
  onnx::NodeProto& resize = add("Resize", name, {input_of(node), "", "", sizes});
  set_text(resize, "mode", "linear");
  set_text(resize, "coordinate_transformation_mode",
           node.align_corners ? "align_corners" : "half_pixel");
  values_.push_back(name);
}

void OnnxWriter::write_node(int index) {
  const Node& node = graph_.node(index);
  std::vector<std::string> inputs;
  for (const int in : node.inputs) inputs.push_back(value(in));
  switch (node.kind) {
    case NodeKind::kInput:
      return write_input(node);
    case NodeKind::kConv:
      return write_conv(index);
    case NodeKind::kBatchNorm:
      if (!folded_.gone[static_cast<std::size_t>(index)]) return write_batch_norm(node);
      values_.push_back(inputs[0]);
      return;
    case NodeKind::kMaxPool:
      return write_pool(node, "MaxPool");
    case NodeKind::kAveragePool:
      return write_pool(node, "AveragePool");
    case NodeKind::kPixelShift:
      return write_shift(index);
    case NodeKind::kLinear:
      return write_linear(node);
    case NodeKind::kRelu:
      add("Relu", node.name, inputs);
      break;
    case NodeKind::kAdd:
      // Add has two inputs; longer sums are chains.
      for (std::size_t k = 1; k < inputs.size(); ++k) {
        const bool last = k + 1 == inputs.size();
        const std::string sum = last ? node.name : fmt::format("{}/part{}", node.name, k);
        inputs[0] = add("Add", sum, {inputs[0], inputs[k]}).output(0);
      }
      break;
    case NodeKind::kConcat:
      set(add("Concat", node.name, inputs), "axis", 1);
      break;
    case NodeKind::kGlobalAveragePool:
      add("GlobalAveragePool", node.name, inputs);
      break;
    case NodeKind::kResize:
      return write_resize(node);
    case NodeKind::kBroadcast:
      add("Expand", node.name,
          {inputs[0], constant(node.name + "/map", {1, 1, node.shape.height, node.shape.width})});
      break;
    case NodeKind::kSelectChannels:
      set(add("Gather", node.name,
              {inputs[0], constant(node.name + "/channels",
                                   Ints(node.channels.begin(), node.channels.end()))}),
          "axis", 1);
      break;
    case NodeKind::kDropout:
    case NodeKind::kDropPath:
    case NodeKind::kCrossEntropy:
      throw Unsupported(fmt::format("ONNX: {} belongs to training only", node.name));
  }
  values_.push_back(node.name);
}

void OnnxWriter::write_metadata(onnx::ModelProto& file) const {
  auto about = describe(model_);
  const bool inside = options_.input != ExportInput::kNormalised;
  about.emplace("normalised_inside", inside ? "1" : "0");
  about.emplace("input_values", options_.input == ExportInput::kBytes ? "0 to 255 (uint8)"
                                : options_.input == ExportInput::kUnit
                                    ? "0 to 1"
                                    : "(value / 255 - mean) / std");
  about.emplace("output", options_.softmax ? "probabilities" : "logits");
  for (const auto& [key, text] : about) {
    onnx::StringStringEntryProto& entry = *file.add_metadata_props();
    entry.set_key(key);
    entry.set_value(text);
  }
}

onnx::ModelProto OnnxWriter::write() {
  out_.set_name("renas");
  for (int i = 0; i < static_cast<int>(graph_.nodes().size()); ++i) write_node(i);
  const char* output = options_.softmax ? "probabilities" : "logits";
  std::string scores = value(graph_.scores());
  // A classifier without a bias is a 1x1 convolution: its scores are maps of one pixel.
  if (model_.network.kind != NetworkKind::kDeepLab &&
      graph_.node(graph_.scores()).kind == NodeKind::kConv) {
    scores = add("Flatten", "scores", {scores}).output(0);
  }
  if (options_.softmax) {
    set(add("Softmax", output, {scores}), "axis", 1);
  } else {
    add("Identity", output, {scores});
  }
  onnx::ValueInfoProto& info = *out_.add_output();
  info.set_name(output);
  onnx::TypeProto_Tensor& type = *info.mutable_type()->mutable_tensor_type();
  type.set_elem_type(onnx::TensorProto::FLOAT);
  type.mutable_shape()->add_dim()->set_dim_param("N");
  type.mutable_shape()->add_dim()->set_dim_value(model_.network.classes);
  if (model_.network.kind == NetworkKind::kDeepLab) {
    type.mutable_shape()->add_dim()->set_dim_value(model_.network.image.height);
    type.mutable_shape()->add_dim()->set_dim_value(model_.network.image.width);
  }

  onnx::ModelProto file;
  file.set_ir_version(kIrVersion);
  file.set_producer_name("renas");
  file.set_producer_version(RENAS_VERSION);
  file.add_opset_import()->set_version(kOpset);
  write_metadata(file);
  *file.mutable_graph() = std::move(out_);
  return file;
}

}  // namespace

void export_onnx(const std::string& path, const Model& model, const OnnxOptions& options) {
  const onnx::ModelProto file = OnnxWriter(model, options).write();
  try {
    onnx::checker::check_model(file);
  } catch (const std::exception& e) {
    throw Error(fmt::format("ONNX's checker refuses the network of {}: {}", path, e.what()));
  }
  std::string bytes;
  if (!file.SerializeToString(&bytes)) {
    throw Unsupported(fmt::format("{}: the network is beyond 2 GB, the limit of a file", path));
  }
  write_text(path, bytes);
}

}  // namespace renas
