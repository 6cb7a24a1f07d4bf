#include "graph/stacked_cells.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "graph/cell_rules.h"
#include "graph/layers.h"
#include "renas/error.h"

namespace renas {

namespace {

constexpr float kAuxiliaryWeight = 0.4F;  // paper, section 5.1

/// The plan of one cell, made before anything is built. Stride 2 makes it a reduction cell.
struct CellPlan {
  int filters = 0;
  int stride = 1;
  bool live = false;  // whether anything reads the cell
};

/// A cell with its outputs decided, and what of it is needed for them.
struct Plan {
  std::vector<CellBlock> blocks;
  std::vector<std::string> outputs;
  std::vector<bool> needed;  // each block
  bool reads_c1 = false;
  bool reads_c2 = false;
};

/// Index of the block that is named `input`; -1: it is c-1 or c-2.
int block_index(const std::string& input) {
  return input == "c-1" || input == "c-2" ? -1 : std::stoi(input) - 1;
}

Plan make_plan(const Cell& cell, bool concat_c2) {
  Plan plan{.blocks = cell.blocks, .outputs = cell.outputs, .needed = {}};
  const auto blocks = static_cast<int>(cell.blocks.size());
  if (plan.outputs.empty()) {
    std::vector<bool> used(cell.blocks.size(), false);
    for (const CellBlock& block : cell.blocks) {
      for (const std::string& input : block.inputs) {
        if (block_index(input) >= 0) used[static_cast<std::size_t>(block_index(input))] = true;
      }
    }
    for (int b = 0; b < blocks; ++b) {
      if (!used[static_cast<std::size_t>(b)]) plan.outputs.push_back(std::to_string(b + 1));
    }
  }
  if (concat_c2) plan.outputs.emplace_back("c-2");
  plan.needed.resize(cell.blocks.size(), false);
  const auto need = [&](const std::string& input) {
    plan.reads_c1 = plan.reads_c1 || input == "c-1";
    plan.reads_c2 = plan.reads_c2 || input == "c-2";
    if (block_index(input) >= 0) plan.needed[static_cast<std::size_t>(block_index(input))] = true;
  };
  for (const std::string& output : plan.outputs) need(output);
  for (std::size_t b = cell.blocks.size(); b-- > 0;) {
    if (!plan.needed[b]) continue;
    for (const std::string& input : cell.blocks[b].inputs) need(input);
  }
  return plan;
}

class Builder {
 public:
  Builder(const Architecture& architecture, const NetworkOptions& options)
      : rules_(cell_rules(architecture.family)),
        normal_(make_plan(architecture.normal, options.concat_c2)),
        reduction_(make_plan(architecture.reduction, false)),
        options_(options),
        layers_(graph_, rules_) {}

  Graph build();

 private:
  void plan();
  void mark_live();
  const Plan& plan_of(const CellPlan& cell) const {
    return cell.stride == 1 ? normal_ : reduction_;
  }
  std::pair<Map, Map> stem();
  int conv3x3(const std::string& name, int in, int filters, const Window& window);
  Map cell(int index, const Map& c2, const Map& c1, bool c2_is_larger);
  int adapted_c2(int index, const Map& c2, bool larger);
  int adapted_c1(const std::string& prefix, const Map& c1, int filters);
  Map concatenated(const std::string& prefix, const Plan& plan, const std::vector<int>& outputs,
                   int c2, int c1, int filters);
  void auxiliary_head(const Map& in);
  int classifier(const std::string& name, const Map& in);

  const CellRules& rules_;
  Plan normal_;
  Plan reduction_;
  const NetworkOptions& options_;
  std::vector<CellPlan> cells_;
  int auxiliary_cell_ = -1;
  Graph graph_;
  Layers layers_;
};

/// Plans the cells and marks those that something reads.
void Builder::plan() {
  using Place = CellRules::AuxiliaryCell;
  const int f = options_.filters;
  if (options_.kind == NetworkKind::kImageNet && !rules_.stem_of_three) {
    cells_.push_back({f / 4, 2});
    cells_.push_back({f / 2, 2});
  }
  for (int stage = 0; stage < 3; ++stage) {
    if (stage > 0 && !rules_.reduces_in_place) {
      cells_.push_back({f << stage, 2});
    }
    for (int i = 0; i < options_.cells; ++i) {
      cells_.push_back({f << stage, stage > 0 && i == 0 && rules_.reduces_in_place ? 2 : 1});
    }
    if (stage == 1) {
      const int last = static_cast<int>(cells_.size()) - 1;
      auxiliary_cell_ = rules_.auxiliary_cell == Place::kBeforeSecondReduction ? last
                        : rules_.auxiliary_cell == Place::kSecondReduction     ? last + 1
                                                                               : last + 2;
    }
  }
  mark_live();
}

void Builder::mark_live() {
  cells_.back().live = true;
  for (std::size_t i = cells_.size(); i-- > 0;) {
    if (!cells_[i].live) {
      continue;
    }
    if (i >= 1 && plan_of(cells_[i]).reads_c1) {
      cells_[i - 1].live = true;
    }
    if (i >= 2 && plan_of(cells_[i]).reads_c2) {
      cells_[i - 2].live = true;
    }
  }
  while (auxiliary_cell_ >= 0 && !cells_[auxiliary_cell_].live) {
    --auxiliary_cell_;
  }
}

int Builder::conv3x3(const std::string& name, int in, int filters, const Window& window) {
  const int conv = graph_.conv("stem/conv" + name, in, {.out_channels = filters, .window = window});
  return graph_.batch_norm("stem/norm" + name, conv);
}

/// What the first cell reads as c-2 and as c-1.
std::pair<Map, Map> Builder::stem() {
  const bool cifar = options_.kind == NetworkKind::kCifar;
  const int f = options_.filters;
  const int input = graph_.input(options_.image);
  if (cifar || !rules_.stem_of_three) {
    const int filters = options_.stem > 0 ? options_.stem : cifar ? 3 * f : 32;
    const Map stem{conv3x3("", input, filters, cifar ? Window::same(3) : Window::valid(3, 3, 2)),
                   {{"stem", filters}}};
    return {stem, stem};
  }
  int at = conv3x3("1", input, options_.stem > 0 ? options_.stem : f / 2, Window::same(3, 2));
  at = conv3x3("2", graph_.relu("stem/relu1", at), f, Window::same(3, 2));
  const Map c2{at, {{"stem2", f}}};
  at = conv3x3("3", graph_.relu("stem/relu2", at), f, Window::same(3, 2));
  return {c2, {at, {{"stem", f}}}};
}

int Builder::adapted_c2(int index, const Map& c2, bool larger) {
  using Keep = CellRules::KeepC2;
  const int f = cells_[index].filters;
  const std::string name = fmt::format("cell{}/c-2", index + 1);
  if (larger) {
    return layers_.reduce(name, {graph_.relu(name + "/relu", c2.node), c2.columns}, f).node;
  }
  const bool may_stay =
      rules_.keep_c2 == Keep::kAlways || (rules_.keep_c2 == Keep::kFirstCell && index == 0);
  const bool fits = layers_.shape(c2.node).channels == f || (index == 0 && rules_.raw_stem);
  return may_stay && fits ? c2.node : layers_.adapt(name, c2, f).node;
}

int Builder::adapted_c1(const std::string& prefix, const Map& c1, int filters) {
  if (!rules_.adapts_c1_twice) return layers_.adapt(prefix + "c-1", c1, filters).node;
  Map at = c1;
  if (layers_.shape(at.node).channels != filters) {
    at = layers_.adapt(prefix + "c-1/first", at, filters);
  }
  return layers_.adapt(prefix + "c-1", at, filters).node;
}

Map Builder::cell(int index, const Map& c2, const Map& c1, bool c2_is_larger) {
  const int f = cells_[index].filters;
  const Plan& plan = plan_of(cells_[index]);
  const std::string prefix = fmt::format("cell{}/", index + 1);
  const float depth = static_cast<float>(index + 1) / static_cast<float>(cells_.size());
  const float drop = options_.drop_path * (options_.drop_path_flat ? 1.0F : depth);

  const int second = plan.reads_c2 ? adapted_c2(index, c2, c2_is_larger) : -1;
  const int first = plan.reads_c1 ? adapted_c1(prefix, c1, f) : -1;
  std::vector<int> outputs(plan.blocks.size(), -1);
  for (std::size_t b = 0; b < plan.blocks.size(); ++b) {
    if (!plan.needed[b]) {
      continue;
    }
    std::array<int, 2> paths{};
    for (std::size_t h = 0; h < 2; ++h) {
      const std::string& from = plan.blocks[b].inputs[h];
      const std::string& op = plan.blocks[b].operators[h];
      const int source = block_index(from);
      const int in = source >= 0     ? outputs[static_cast<std::size_t>(source)]
                     : from == "c-1" ? first
                                     : second;
      const std::string name = fmt::format("{}block{}/{}.{}", prefix, b + 1, h + 1, op);
      paths[h] = layers_.path(name, op, {in}, source >= 0 ? 1 : cells_[index].stride, f, drop);
    }
    outputs[b] = graph_.add(fmt::format("{}block{}/add", prefix, b + 1), {paths[0], paths[1]});
  }
  return concatenated(prefix, plan, outputs, second, first, f);
}

/// The output of a cell. A part that is larger than the blocks is halved; one of other channels,
/// the stem, is brought to `filters`.
Map Builder::concatenated(const std::string& prefix, const Plan& plan,
                          const std::vector<int>& outputs, int c2, int c1, int filters) {
  int height = 0;
  for (const int block : outputs) {
    if (block >= 0) height = layers_.shape(block).height;
  }
  Map result;
  std::vector<int> parts;
  for (const std::string& output : plan.outputs) {
    const int block = block_index(output);
    int at = block >= 0 ? outputs[static_cast<std::size_t>(block)] : output == "c-1" ? c1 : c2;
    const Shape& shape = layers_.shape(at);
    if (height > 0 && shape.height > height) {
      at = layers_.reduce(prefix + "output/" + output, {at}, filters).node;
    } else if (shape.channels != filters) {
      at = layers_.conv_norm(prefix + "output/" + output, {at}, filters).node;
    }
    parts.push_back(at);
    result.columns.push_back({block >= 0 ? "block" + output : output, filters});
  }
  result.node = parts.size() == 1 ? parts.front() : graph_.concat(prefix + "concat", parts);
  return result;
}

/// The scores of a map of 1x1. Without a bias it is a 1x1 convolution.
int Builder::classifier(const std::string& name, const Map& in) {
  if (rules_.classifier_bias) {
    return graph_.linear(name, in.node, options_.classes, in.columns);
  }
  return graph_.conv(name, in.node, {.out_channels = options_.classes, .columns = in.columns});
}

void Builder::auxiliary_head(const Map& in) {
  const bool darts_on_imagenet = rules_.stem_of_three && options_.kind == NetworkKind::kImageNet;
  graph_.begin_auxiliary();
  const Shape map = layers_.shape(in.node);
  const bool small = map.height < 5 || map.width < 5;
  int at = graph_.relu("auxiliary/relu0", in.node);
  at = graph_.average_pool("auxiliary/pool", at,
                           small ? Window::valid(map.height, map.width)
                                 : Window::valid(5, 5, darts_on_imagenet ? 2 : 3));
  at = layers_.conv_norm("auxiliary/1", {at, in.columns}, 128).node;
  at = graph_.relu("auxiliary/relu1", at);
  const Shape pooled = layers_.shape(at);
  Window window = Window::valid(pooled.height, pooled.width);
  if (rules_.auxiliary_mean) {
    window = Window::valid(2, 2);
    window.padding_bottom = window.padding_right = 1;
  }
  at = graph_.conv("auxiliary/2/conv", at, {.out_channels = 768, .window = window});
  if (!darts_on_imagenet) at = graph_.batch_norm("auxiliary/2/norm", at);
  at = graph_.relu("auxiliary/relu2", at);
  if (rules_.auxiliary_mean) at = graph_.global_average_pool("auxiliary/mean", at);
  at = classifier("auxiliary/linear", {at});
  graph_.cross_entropy("auxiliary/loss", at, kAuxiliaryWeight, 0, options_.class_weights);
  graph_.end_auxiliary();
}

Graph Builder::build() {
  plan();
  const auto [stem_c2, stem_c1] = stem();

  // A cell that is not live keeps its place in the sequence, because its size still decides how its
  // neighbours are adapted.
  struct Previous {
    Map map;
    int height = 0;
    int width = 0;
  };
  const Shape c2_shape = layers_.shape(stem_c2.node);
  const Shape c1_shape = layers_.shape(stem_c1.node);
  Previous c2{stem_c2, c2_shape.height, c2_shape.width};
  Previous c1{stem_c1, c1_shape.height, c1_shape.width};
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

  int at = rules_.final_relu ? graph_.relu("head/relu", c1.map.node) : c1.map.node;
  at = graph_.global_average_pool("head/mean", at);
  if (options_.dropout > 0) {
    at = graph_.dropout("head/dropout", at, options_.dropout);
  }
  at = classifier("head/linear", {at, c1.map.columns});
  graph_.set_scores(at);
  graph_.cross_entropy("head/loss", at, 1, options_.label_smoothing, options_.class_weights);
  return std::move(graph_);
}

}  // namespace

Graph stack_cells(const Architecture& architecture, const NetworkOptions& options) {
  if (architecture.family == "renas" && options.kind == NetworkKind::kImageNet &&
      options.filters % 4 != 0) {
    throw InvalidInput(
        fmt::format("network: filters (F) of the ImageNet network must be divisible by 4, got {}",
                    options.filters));
  }
  return Builder(architecture, options).build();
}

}  // namespace renas
