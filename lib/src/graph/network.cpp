#include "renas/network.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "graph/deeplab.h"
#include "renas/error.h"

namespace renas {

namespace {

constexpr float kAuxiliaryWeight = 0.4F;  // paper, section 5.1

/// A feature map of the network, and the parts it was concatenated from.
struct Map {
  int node = -1;
  std::vector<ColumnGroup> columns;
};

/// The plan of one cell, made before anything is built. Stride 2 makes it a reduction cell.
struct CellPlan {
  int filters = 0;
  int stride = 1;
  bool live = false;  // whether anything reads the cell
};

/// A block of the genome, with names in place of choice numbers.
struct BlockPlan {
  std::array<std::string, 2> inputs;
  std::array<std::string, 2> operators;
};

/// Reads the blocks of a genome. Throws InvalidInput unless it is of the paper's space.
std::vector<BlockPlan> read_blocks(const SearchSpace& space, const Genome& genome) {
  if (space.notation() != Notation::kCell) {
    throw InvalidInput(fmt::format(
        "network: only genomes of the paper's space become networks, this one is of '{}'",
        space.name()));
  }
  check_genome(space, genome);
  std::vector<BlockPlan> blocks;
  for (int b = 0; b < space.block_count(); ++b) {
    const auto choice = [&](int slot) {
      const int i = space.first_slot(b) + slot;
      return space.slot(i).choices[genome[i]];
    };
    blocks.push_back({{choice(0), choice(1)}, {choice(2), choice(3)}});
  }
  return blocks;
}

/// The kernel size of a separable convolution's depthwise part; 0 for other operators.
int separable_kernel(const std::string& op) {
  return op == "sep3x3" ? 3 : op == "sep5x5" ? 5 : op == "sep7x7" ? 7 : 0;
}

class Builder {
 public:
  Builder(std::vector<BlockPlan> blocks, const NetworkOptions& options)
      : blocks_(std::move(blocks)), options_(options) {}

  Graph build();

 private:
  void plan();
  bool cell_reads(const std::string& input, const CellPlan& cell) const;
  Map stem();
  Map cell(int index, const Map& c2, const Map& c1, bool c2_is_larger);
  Map adapt(const std::string& name, const Map& in, int filters);
  Map reduce(const std::string& name, const Map& in, int filters);
  Map conv_norm(const std::string& name, const Map& in, int filters);
  int path(const std::string& name, const std::string& op, int in, int stride, float drop);
  int separable(const std::string& name, int in, int kernel, int stride);
  void auxiliary_head(const Map& in);

  std::vector<BlockPlan> blocks_;
  const NetworkOptions& options_;
  std::vector<CellPlan> cells_;
  int auxiliary_cell_ = -1;
  Graph graph_;
};

bool Builder::cell_reads(const std::string& input, const CellPlan& cell) const {
  if (input == "c-2" && options_.concat_c2 && cell.stride == 1) {
    return true;
  }
  return std::any_of(blocks_.begin(), blocks_.end(), [&](const BlockPlan& b) {
    return b.inputs[0] == input || b.inputs[1] == input;
  });
}

/// Plans the cells and marks those that something reads.
void Builder::plan() {
  const int f = options_.filters;
  if (options_.kind == NetworkKind::kImageNet) {
    cells_.push_back({f / 4, 2});
    cells_.push_back({f / 2, 2});
  }
  for (int stage = 0; stage < 3; ++stage) {
    if (stage > 0) {
      cells_.push_back({f << stage, 2});
    }
    for (int i = 0; i < options_.cells; ++i) {
      cells_.push_back({f << stage, 1});
    }
    if (stage == 1) {
      auxiliary_cell_ = static_cast<int>(cells_.size()) - 1;
    }
  }
  cells_.back().live = true;
  for (std::size_t i = cells_.size(); i-- > 0;) {
    if (!cells_[i].live) {
      continue;
    }
    if (i >= 1 && cell_reads("c-1", cells_[i])) {
      cells_[i - 1].live = true;
    }
    if (i >= 2 && cell_reads("c-2", cells_[i])) {
      cells_[i - 2].live = true;
    }
  }
  while (auxiliary_cell_ >= 0 && !cells_[auxiliary_cell_].live) {
    --auxiliary_cell_;
  }
}

Map Builder::stem() {
  const bool cifar = options_.kind == NetworkKind::kCifar;
  const int filters = options_.stem > 0 ? options_.stem : cifar ? 3 * options_.filters : 32;
  const int input = graph_.input(options_.image);
  const int conv = graph_.conv(
      "stem/conv", input,
      {.out_channels = filters, .window = cifar ? Window::same(3) : Window::valid(3, 3, 2)});
  return {graph_.batch_norm("stem/norm", conv), {{"stem", filters}}};
}

Map Builder::conv_norm(const std::string& name, const Map& in, int filters) {
  const int conv =
      graph_.conv(name + "/conv", in.node, {.out_channels = filters, .columns = in.columns});
  return {graph_.batch_norm(name + "/norm", conv), {}};
}

/// Adapts a cell's input to its number of filters: ReLU, 1x1 convolution, batch norm.
Map Builder::adapt(const std::string& name, const Map& in, int filters) {
  return conv_norm(name, {graph_.relu(name + "/relu", in.node), in.columns}, filters);
}

/// Factorized reduction, which halves height and width: half of the filters reads pixels (2i, 2j),
/// the other half pixels (2i+1, 2j+1), which a pixel shift brings to the place of the first.
Map Builder::reduce(const std::string& name, const Map& in, int filters) {
  const Window every_other = Window::valid(1, 1, 2);
  const int relu = graph_.relu(name + "/relu", in.node);
  const int even =
      graph_.conv(name + "/even", relu,
                  {.out_channels = filters / 2, .window = every_other, .columns = in.columns});
  const int shifted = graph_.pixel_shift(name + "/shift", relu);
  const int odd = graph_.conv(
      name + "/odd", shifted,
      {.out_channels = filters - filters / 2, .window = every_other, .columns = in.columns});
  const int both = graph_.concat(name + "/concat", {even, odd});
  return {graph_.batch_norm(name + "/norm", both), {}};
}

/// Separable convolution, applied twice as in the paper: ReLU, depthwise, pointwise, batch norm.
int Builder::separable(const std::string& name, int in, int kernel, int stride) {
  int at = in;
  const int channels = graph_.node(in).shape.channels;
  for (int pass = 1; pass <= 2; ++pass) {
    at = graph_.relu(fmt::format("{}/relu{}", name, pass), at);
    at = graph_.conv(fmt::format("{}/depthwise{}", name, pass), at,
                     {.out_channels = channels,
                      .window = Window::same(kernel, pass == 1 ? stride : 1),
                      .groups = channels});
    at = graph_.conv(fmt::format("{}/pointwise{}", name, pass), at, {.out_channels = channels});
    at = graph_.batch_norm(fmt::format("{}/norm{}", name, pass), at);
  }
  return at;
}

/// Builds one operator of a block and its drop path. A plain identity is never dropped, as in
/// NASNet's published code.
int Builder::path(const std::string& name, const std::string& op, int in, int stride, float drop) {
  int out = in;
  if (const int kernel = separable_kernel(op)) {
    out = separable(name, in, kernel, stride);
  } else if (op == "avg3x3") {
    out = graph_.average_pool(name + "/pool", in, Window::same(3, stride));
  } else if (op == "max3x3" || stride == 2) {
    out = graph_.max_pool(name + "/pool", in, Window::same(3, stride));
  }
  if (drop > 0 && out != in) {
    out = graph_.drop_path(name + "/drop", out, drop);
  }
  return out;
}

Map Builder::cell(int index, const Map& c2, const Map& c1, bool c2_is_larger) {
  const CellPlan& plan = cells_[index];
  const std::string prefix = fmt::format("cell{}/", index + 1);
  const int f = plan.filters;
  const float depth = static_cast<float>(index + 1) / static_cast<float>(cells_.size());
  const float drop = options_.drop_path * (options_.drop_path_flat ? 1.0F : depth);

  int adapted_c2 = -1;
  int adapted_c1 = -1;
  if (cell_reads("c-2", plan)) {
    const bool unchanged = index == 0 && graph_.node(c2.node).shape.channels == f;
    adapted_c2 = unchanged      ? c2.node
                 : c2_is_larger ? reduce(prefix + "c-2", c2, f).node
                                : adapt(prefix + "c-2", c2, f).node;
  }
  if (cell_reads("c-1", plan)) {
    adapted_c1 = adapt(prefix + "c-1", c1, f).node;
  }

  std::vector<int> outputs;
  std::vector<bool> used(blocks_.size(), false);
  for (std::size_t b = 0; b < blocks_.size(); ++b) {
    std::array<int, 2> paths{};
    for (std::size_t h = 0; h < 2; ++h) {
      const std::string& from = blocks_[b].inputs[h];
      const std::string& op = blocks_[b].operators[h];
      int in = 0;
      int stride = 1;
      if (from == "c-1" || from == "c-2") {
        in = from == "c-1" ? adapted_c1 : adapted_c2;
        stride = plan.stride;
      } else {
        const std::size_t source = std::stoul(from) - 1;
        used[source] = true;
        in = outputs[source];
      }
      const std::string name = fmt::format("{}block{}/{}.{}", prefix, b + 1, h + 1, op);
      paths[h] = path(name, op, in, stride, drop);
    }
    outputs.push_back(
        graph_.add(fmt::format("{}block{}/add", prefix, b + 1), {paths[0], paths[1]}));
  }

  Map result;
  std::vector<int> parts;
  for (std::size_t b = 0; b < blocks_.size(); ++b) {
    if (used[b]) {
      continue;
    }
    parts.push_back(outputs[b]);
    result.columns.push_back({fmt::format("block{}", b + 1), f});
  }
  if (options_.concat_c2 && plan.stride == 1) {
    parts.push_back(adapted_c2);
    result.columns.push_back({"c-2", f});
  }
  result.node = parts.size() == 1 ? parts.front() : graph_.concat(prefix + "concat", parts);
  return result;
}

void Builder::auxiliary_head(const Map& in) {
  graph_.begin_auxiliary();
  const Shape map = graph_.node(in.node).shape;
  const bool small = map.height < 5 || map.width < 5;
  int at = graph_.relu("auxiliary/relu0", in.node);
  at = graph_.average_pool("auxiliary/pool", at,
                           small ? Window::valid(map.height, map.width) : Window::valid(5, 5, 3));
  at = conv_norm("auxiliary/1", {at, in.columns}, 128).node;
  at = graph_.relu("auxiliary/relu1", at);
  const Shape pooled = graph_.node(at).shape;
  at = graph_.conv("auxiliary/2/conv", at,
                   {.out_channels = 768, .window = Window::valid(pooled.height, pooled.width)});
  at = graph_.batch_norm("auxiliary/2/norm", at);
  at = graph_.relu("auxiliary/relu2", at);
  at = graph_.linear("auxiliary/linear", at, options_.classes);
  graph_.cross_entropy("auxiliary/loss", at, kAuxiliaryWeight, 0, options_.class_weights);
  graph_.end_auxiliary();
}

Graph Builder::build() {
  plan();
  const Map first = stem();
  const Shape stem_shape = graph_.node(first.node).shape;

  // A cell that is not live keeps its place in the sequence, because its size still decides how its
  // neighbours are adapted.
  struct Previous {
    Map map;
    int height = 0;
    int width = 0;
  };
  Previous c2{first, stem_shape.height, stem_shape.width};
  Previous c1 = c2;
  for (int i = 0; i < static_cast<int>(cells_.size()); ++i) {
    const CellPlan& plan = cells_[i];
    Previous current;
    current.height = plan.stride == 2 ? (c1.height + 1) / 2 : c1.height;
    current.width = plan.stride == 2 ? (c1.width + 1) / 2 : c1.width;
    if (plan.live) {
      current.map = cell(i, c2.map, c1.map, c2.height != c1.height || c2.width != c1.width);
      if (options_.auxiliary && i == auxiliary_cell_) {
        auxiliary_head(current.map);
      }
    }
    c2 = std::move(c1);
    c1 = std::move(current);
  }

  int at = graph_.relu("head/relu", c1.map.node);
  at = graph_.global_average_pool("head/mean", at);
  if (options_.dropout > 0) {
    at = graph_.dropout("head/dropout", at, options_.dropout);
  }
  at = graph_.linear("head/linear", at, options_.classes, c1.map.columns);
  graph_.set_scores(at);
  graph_.cross_entropy("head/loss", at, 1, options_.label_smoothing, options_.class_weights);
  return std::move(graph_);
}

void check_options(const NetworkOptions& o) {
  const auto expect = [](bool right, const char* what, const char* expected, auto found) {
    if (!right) {
      throw InvalidInput(fmt::format("network: {} must be {}, got {}", what, expected, found));
    }
  };
  expect(o.cells >= 1 && o.cells <= 1000, "cells (N)", "1 to 1000", o.cells);
  expect(o.filters >= 1 && o.filters <= 8192, "filters (F)", "1 to 8192", o.filters);
  expect(o.stem >= 0 && o.stem <= 65536, "stem", "0 to 65536", o.stem);
  expect(o.classes >= 2, "classes", "2 or more", o.classes);
  expect(o.dropout >= 0 && o.dropout < 1, "dropout", "in [0, 1)", o.dropout);
  expect(o.drop_path >= 0 && o.drop_path < 1, "drop path", "in [0, 1)", o.drop_path);
  expect(o.label_smoothing >= 0 && o.label_smoothing < 1, "label smoothing", "in [0, 1)",
         o.label_smoothing);
  if (!o.class_weights.empty() && static_cast<int>(o.class_weights.size()) != o.classes) {
    throw InvalidInput(fmt::format("network: expected {} class weights, one a class, got {}",
                                   o.classes, o.class_weights.size()));
  }
  if (o.kind != NetworkKind::kCifar) {
    expect(o.filters % 4 == 0, "filters (F) of the ImageNet network", "divisible by 4", o.filters);
  }
}

/// The options of the network that classifies, whose body becomes that of DeepLab.
NetworkOptions body_of_deeplab(NetworkOptions options) {
  options.kind = NetworkKind::kImageNet;
  options.dropout = 0;
  options.class_weights = {};
  // Its maps are thrown away: the smallest image that every body takes will do.
  options.image.height = std::max(options.image.height, 64);
  options.image.width = std::max(options.image.width, 64);
  return options;
}

}  // namespace

const char* to_string(NetworkKind kind) {
  switch (kind) {
    case NetworkKind::kCifar:
      return "cifar";
    case NetworkKind::kImageNet:
      return "imagenet";
    case NetworkKind::kDeepLab:
      return "deeplab";
  }
  return "";
}

NetworkKind parse_network_kind(const std::string& text) {
  if (text == "cifar") {
    return NetworkKind::kCifar;
  }
  if (text == "imagenet") {
    return NetworkKind::kImageNet;
  }
  if (text == "deeplab") {
    return NetworkKind::kDeepLab;
  }
  throw InvalidInput(fmt::format("network: expected cifar, imagenet or deeplab, got '{}'", text));
}

Graph build_network(const SearchSpace& space, const Genome& genome, const NetworkOptions& options) {
  check_options(options);
  if (options.kind == NetworkKind::kDeepLab) {
    return make_deeplab(build_network(space, genome, body_of_deeplab(options)), options);
  }
  return Builder(read_blocks(space, genome), options).build();
}

}  // namespace renas
