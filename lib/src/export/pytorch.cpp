// The network as Python text, a class a cell, and its weights as safetensors: eight bytes with the
// length of a JSON header, the header (type, shape and place of each tensor), and the values
// (https://huggingface.co/docs/safetensors, "Format").

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/files.h"
#include "export/description.h"
#include "renas/error.h"
#include "renas/export.h"

namespace renas {
namespace {

using Json = nlohmann::ordered_json;

/// Values that follow each other and have one first name, such as "cell3": one class.
struct Section {
  std::string name;
  std::vector<int> nodes;
  std::vector<int> reads;   // values of other sections
  std::vector<int> yields;  // values that others read
};

std::string identifier(const std::string& name) {
  std::string result;
  for (const char c : name) result += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  const bool digit = !result.empty() && std::isdigit(static_cast<unsigned char>(result[0])) != 0;
  return digit ? "_" + result : result;
}

std::string section_of(const std::string& node) { return node.substr(0, node.find('/')); }

std::string pair_text(int a, int b) {
  return a == b ? std::to_string(a) : fmt::format("({}, {})", a, b);
}

std::string padding_text(const Node& node) {
  const Window& w = node.window;
  if (w.padding_top != w.padding_bottom || w.padding_left != w.padding_right) {
    throw Unsupported(fmt::format("PyTorch: the padding of {} is not symmetric", node.name));
  }
  return pair_text(w.padding_top, w.padding_left);
}

class PyTorchWriter {
 public:
  explicit PyTorchWriter(const Model& model) : model_(model), graph_(graph_of(model)) {
    find_sections();
  }
  std::string module(const std::string& weights_file) const;
  std::string weights() const;

 private:
  void find_sections();
  /// The name of a node within its section.
  std::string local(int i) const;
  std::string layer(int i) const;
  std::string expression(int i) const;
  std::string section_text(const Section& section) const;
  std::string network_text() const;

  const Model& model_;
  Graph graph_;
  std::vector<Section> sections_;
};

void PyTorchWriter::find_sections() {
  std::vector<std::size_t> section(graph_.nodes().size());
  for (std::size_t i = 0; i < graph_.nodes().size(); ++i) {
    const Node& node = graph_.nodes()[i];
    if (node.kind == NodeKind::kInput) continue;
    const std::string name = section_of(node.name);
    if (sections_.empty() || sections_.back().name != name) sections_.push_back({name, {}, {}, {}});
    section[i] = sections_.size() - 1;
    Section& mine = sections_.back();
    mine.nodes.push_back(static_cast<int>(i));
    for (const int in : node.inputs) {
      const bool foreign = graph_.node(in).kind == NodeKind::kInput ||
                           section[static_cast<std::size_t>(in)] != section[i];
      if (!foreign) continue;
      if (std::find(mine.reads.begin(), mine.reads.end(), in) == mine.reads.end()) {
        mine.reads.push_back(in);
      }
      if (graph_.node(in).kind == NodeKind::kInput) continue;
      auto& yields = sections_[section[static_cast<std::size_t>(in)]].yields;
      if (std::find(yields.begin(), yields.end(), in) == yields.end()) yields.push_back(in);
    }
  }
  sections_[section[static_cast<std::size_t>(graph_.scores())]].yields.push_back(graph_.scores());
}

std::string PyTorchWriter::local(int i) const {
  const Node& node = graph_.node(i);
  if (node.kind == NodeKind::kInput) return "images";
  const auto slash = node.name.find('/');
  return identifier(slash == std::string::npos ? node.name : node.name.substr(slash + 1));
}

/// The layer of a node that has parameters; empty for others.
std::string PyTorchWriter::layer(int i) const {
  const Node& node = graph_.node(i);
  const Window& w = node.window;
  switch (node.kind) {
    case NodeKind::kConv: {
      std::string text =
          fmt::format("conv({}, {}, {}", graph_.node(node.inputs[0]).shape.channels,
                      node.shape.channels, pair_text(w.kernel_height, w.kernel_width));
      if (w.stride_height != 1 || w.stride_width != 1) {
        text += ", stride=" + pair_text(w.stride_height, w.stride_width);
      }
      if (const std::string padding = padding_text(node); padding != "0") {
        text += ", padding=" + padding;
      }
      if (w.dilation != 1) text += fmt::format(", dilation={}", w.dilation);
      if (node.groups != 1) text += fmt::format(", groups={}", node.groups);
      if (node.parameters.size() > 1) text += ", bias=True";
      return text + ")";
    }
    case NodeKind::kBatchNorm:
      return fmt::format("nn.BatchNorm2d({})", node.shape.channels);
    case NodeKind::kLinear:
      return fmt::format("nn.Linear({}, {})", graph_.node(node.inputs[0]).shape.size(),
                         node.shape.channels);
    default:
      return "";
  }
}

/// Channels of a map: as a slice where their distance is constant, else by their list.
std::string selection_text(const std::string& map, const std::vector<int>& channels) {
  const int step = channels.size() > 1 ? channels[1] - channels[0] : 1;
  for (std::size_t k = 0; k < channels.size(); ++k) {
    if (step < 1 || channels[k] != channels[0] + static_cast<int>(k) * step) {
      return fmt::format("{}[:, [{}]]", map, fmt::join(channels, ", "));
    }
  }
  return fmt::format("{}[:, {}:{}:{}]", map, channels.front(), channels.back() + 1, step);
}

std::string PyTorchWriter::expression(int i) const {
  const Node& node = graph_.node(i);
  std::vector<std::string> in;
  const std::string section = section_of(node.name);
  for (const int input : node.inputs) {
    const bool foreign = graph_.node(input).kind == NodeKind::kInput ||
                         section_of(graph_.node(input).name) != section;
    in.push_back(foreign && graph_.node(input).kind != NodeKind::kInput
                     ? section_of(graph_.node(input).name)
                     : local(input));
  }
  const Window& w = node.window;
  const std::string window =
      fmt::format("{}, {}, {}", pair_text(w.kernel_height, w.kernel_width),
                  pair_text(w.stride_height, w.stride_width), padding_text(node));
  switch (node.kind) {
    case NodeKind::kConv:
    case NodeKind::kBatchNorm:
      return fmt::format("self.{}({})", local(i), in[0]);
    case NodeKind::kLinear:
      return fmt::format("self.{}({}.flatten(1))", local(i), in[0]);
    case NodeKind::kRelu:
      return fmt::format("F.relu({})", in[0]);
    case NodeKind::kMaxPool:
      return fmt::format("F.max_pool2d({}, {}, dilation={})", in[0], window, w.dilation);
    case NodeKind::kAveragePool:
      return fmt::format("F.avg_pool2d({}, {}, count_include_pad=False)", in[0], window);
    case NodeKind::kAdd:
      return fmt::format("{}", fmt::join(in, " + "));
    case NodeKind::kConcat:
      return fmt::format("torch.cat([{}], 1)", fmt::join(in, ", "));
    case NodeKind::kPixelShift:
      return fmt::format("F.pad({}[:, :, 1:, 1:], (0, 1, 0, 1))", in[0]);
    case NodeKind::kGlobalAveragePool:
      return fmt::format("{}.mean((2, 3), keepdim=True)", in[0]);
    case NodeKind::kResize:
      return fmt::format("F.interpolate({}, ({}, {}), mode=\"bilinear\", align_corners={})", in[0],
                         node.shape.height, node.shape.width,
                         node.align_corners ? "True" : "False");
    case NodeKind::kBroadcast:
      return fmt::format("{}.expand(-1, -1, {}, {})", in[0], node.shape.height, node.shape.width);
    case NodeKind::kSelectChannels:
      return selection_text(in[0], node.channels);
    case NodeKind::kInput:
    case NodeKind::kDropout:
    case NodeKind::kDropPath:
    case NodeKind::kCrossEntropy:
      break;
  }
  throw Unsupported(fmt::format("PyTorch: {} belongs to training only", node.name));
}

std::string class_name_of(std::string section) {
  section[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(section[0])));
  return section;
}

std::string PyTorchWriter::section_text(const Section& section) const {
  const auto argument = [&](int i) {
    return graph_.node(i).kind == NodeKind::kInput ? std::string("images")
                                                   : section_of(graph_.node(i).name);
  };
  std::string text = fmt::format(
      "\n\nclass {}(nn.Module):\n    def __init__(self):\n"
      "        super().__init__()\n",
      class_name_of(section.name));
  for (const int i : section.nodes) {
    if (const std::string made = layer(i); !made.empty()) {
      text += fmt::format("        self.{} = {}\n", local(i), made);
    }
  }
  text += "\n    def forward(self";
  for (const int i : section.reads) text += ", " + argument(i);
  text += "):\n";
  for (const int i : section.nodes) {
    text += fmt::format("        {} = {}\n", local(i), expression(i));
  }
  return text + fmt::format("        return {}\n", local(section.yields.front()));
}

std::string PyTorchWriter::network_text() const {
  std::string text =
      "\n\nclass Network(nn.Module):\n"
      "    \"\"\"Scores [N, classes], before softmax, of normalised images [N, channels, height, "
      "width].\"\"\"\n\n"
      "    def __init__(self):\n        super().__init__()\n";
  for (const Section& s : sections_) {
    text += fmt::format("        self.{} = {}()\n", s.name, class_name_of(s.name));
  }
  text += "\n    def forward(self, images):\n";
  for (const Section& s : sections_) {
    std::vector<std::string> in;
    for (const int i : s.reads) {
      in.push_back(graph_.node(i).kind == NodeKind::kInput ? std::string("images")
                                                           : section_of(graph_.node(i).name));
    }
    text += fmt::format("        {} = self.{}({})\n", s.name, s.name, fmt::join(in, ", "));
  }
  // A classifier without a bias is a 1x1 convolution: its scores are maps of one pixel.
  const bool maps = model_.network.kind != NetworkKind::kDeepLab &&
                    graph_.node(graph_.scores()).kind == NodeKind::kConv;
  return text +
         fmt::format("        return {}{}\n", sections_.back().name, maps ? ".flatten(1)" : "");
}

std::string PyTorchWriter::module(const std::string& weights_file) const {
  const auto json = [](const auto& value) {
    return Json(value).dump(-1, ' ', false, Json::error_handler_t::replace);
  };
  const Shape& image = model_.network.image;
  std::string text = fmt::format(
      R"("""A network that RENAS found, for PyTorch.

genome       {}
network      {}
images       {} rows, {} columns, {} channels
preparation  {}

    network = load()  # with the weights of {}, for inference
    probabilities = network(normalise(images)).softmax(1)  # images: uint8 [N, C, H, W]

To train further: network.train(). For other classes, replace head.linear by a layer of your own.
"""

import json
import pathlib

import torch
from torch import nn
from torch.nn import functional as F

CLASSES = {}
MEAN = {}  # of each channel, of values in [0, 1]
STD = {}
WEIGHTS = pathlib.Path(__file__).with_name({})


def normalise(images):
    """What the network takes, of values 0 to 255 [N, C, H, W]."""
    mean = torch.tensor(MEAN, device=images.device).view(1, -1, 1, 1)
    std = torch.tensor(STD, device=images.device).view(1, -1, 1, 1)
    return (images.float() / 255 - mean) / std


def load(weights=WEIGHTS):
    """The network with its trained weights, for inference."""
    network = Network()
    network.load_state_dict(read_safetensors(weights))
    return network.eval()


def read_safetensors(path):
    """The tensors of a file by name."""
    data = pathlib.Path(path).read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    types = {{"F32": torch.float32, "I64": torch.int64}}
    tensors = {{}}
    for name, about in json.loads(data[8:start]).items():
        if name != "__metadata__":
            first, last = about["data_offsets"]
            values = bytearray(data[start + first : start + last])
            tensors[name] = torch.frombuffer(values, dtype=types[about["dtype"]]).reshape(about["shape"])
    return tensors


def conv(inputs, outputs, kernel, stride=1, padding=0, dilation=1, groups=1, bias=False):
    return nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, groups, bias)
)",
      model_.genome, describe(model_).at("network"), image.height, image.width, image.channels,
      preparation_text(model_), weights_file, json(model_.class_names), json(model_.mean),
      json(model_.sd), json(weights_file));
  for (const Section& section : sections_) text += section_text(section);
  return text + network_text();
}

std::string PyTorchWriter::weights() const {
  static constexpr std::array kNormNames{"weight", "bias", "running_mean", "running_var"};
  Json header{{"__metadata__", {{"format", "pt"}, {"genome", model_.genome}}}};
  std::string values;
  const auto put = [&](const std::string& name, const char* type, const std::vector<int64_t>& shape,
                       const void* data, std::size_t size) {
    const std::size_t first = values.size();
    values.append(static_cast<const char*>(data), size);
    header[name] = {{"dtype", type}, {"shape", shape}, {"data_offsets", {first, values.size()}}};
  };
  for (std::size_t i = 0; i < graph_.nodes().size(); ++i) {
    const Node& node = graph_.nodes()[i];
    const std::string place =
        fmt::format("{}.{}.", section_of(node.name), local(static_cast<int>(i)));
    for (std::size_t k = 0; k < node.parameters.size(); ++k) {
      const Tensor& tensor = model_.weights.at(graph_.parameter(node.parameters[k]).name);
      put(place + kNormNames[k], "F32", tensor.shape, tensor.values.data(),
          tensor.values.size() * sizeof(float));
    }
  }
  for (std::size_t i = 0; i < graph_.nodes().size(); ++i) {  // the widest type behind the others
    if (graph_.nodes()[i].kind != NodeKind::kBatchNorm) continue;
    const int64_t batches = 0;
    put(fmt::format("{}.{}.num_batches_tracked", section_of(graph_.nodes()[i].name),
                    local(static_cast<int>(i))),
        "I64", {}, &batches, sizeof batches);
  }
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');  // values begin at a multiple of eight
  const uint64_t length = text.size();
  std::string file(sizeof length, '\0');
  std::memcpy(file.data(), &length, sizeof length);
  return file + text + values;
}

}  // namespace

void export_pytorch(const std::string& path, const Model& model) {
  const std::filesystem::path module(path);
  if (module.extension() != ".py") {
    throw InvalidInput(fmt::format("{}: expected a name that ends in .py", path));
  }
  std::filesystem::path weights = module;
  weights.replace_extension(".safetensors");
  const PyTorchWriter writer(model);
  write_text(weights.string(), writer.weights());
  write_text(path, writer.module(weights.filename().string()));
}

}  // namespace renas
