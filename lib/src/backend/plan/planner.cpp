#include <algorithm>
#include <map>

#include "backend/plan/arena.h"
#include "backend/plan/plan.h"

namespace renas::plan {

const char* to_string(Group::Kind kind) {
  switch (kind) {
    case Group::Kind::kInput:
      return "input";
    case Group::Kind::kConv:
      return "conv";
    case Group::Kind::kSeparable:
      return "separable";
    case Group::Kind::kPool:
      return "pool";
    case Group::Kind::kAdd:
      return "add";
    case Group::Kind::kMaterialise:
      return "materialise";
    case Group::Kind::kGlobalAverage:
      return "global average pool";
    case Group::Kind::kDropout:
      return "dropout";
    case Group::Kind::kResize:
      return "resize";
    case Group::Kind::kSelectChannels:
      return "selected channels";
    case Group::Kind::kLoss:
      return "loss";
  }
  return "";
}

bool is_pointwise(const Node& node) {
  Window one_pixel;
  one_pixel.stride_height = node.window.stride_height;
  one_pixel.stride_width = node.window.stride_width;
  return node.kind == NodeKind::kConv && node.groups == 1 && node.window == one_pixel;
}

namespace {

class Planner {
 public:
  Planner(const Graph& graph, const PlanOptions& options) : graph_(graph), options_(options) {
    mark_useful();
    views_.resize(graph.nodes().size());
    for (int i = 0; i < static_cast<int>(graph.nodes().size()); ++i) {
      if (useful_[i]) place(i);
    }
    plan_.scores = plan_.values[stored_part(graph.scores()).value].stored;
    mark_scores();
    if (options_.training) {
      plan_gradients();
      plan_norm_sums();
    }
  }

  Plan take() { return std::move(plan_); }

 private:
  /// Marks the nodes that the scores or a loss depend on, and counts how many of them read each.
  void mark_useful() {
    const auto& nodes = graph_.nodes();
    useful_.assign(nodes.size(), false);
    readers_.assign(nodes.size(), 0);
    for (std::size_t i = nodes.size(); i-- > 0;) {
      if (static_cast<int>(i) == graph_.scores() ||
          (options_.training && nodes[i].kind == NodeKind::kCrossEntropy)) {
        useful_[i] = true;
      }
      if (!useful_[i]) continue;
      for (const int in : nodes[i].inputs) {
        useful_[in] = true;
        ++readers_[in];
      }
    }
    ++readers_[graph_.scores()];
  }

  /// True if `node` is a convolution that is computed inside its only reader.
  bool deferred(int node) const {
    const Node& n = graph_.node(node);
    if (n.kind != NodeKind::kConv || readers_[node] != 1 || node == graph_.scores()) {
      return false;
    }
    const int reader = only_reader(node);
    const Node& r = graph_.node(reader);
    if (is_depthwise(n)) return is_pointwise(r) && r.window == Window() && !has_bias(r);
    return is_pointwise(n) && !has_bias(n) && is_concat_of_pointwise(reader);
  }

  static bool has_bias(const Node& n) {
    return (n.kind == NodeKind::kConv || n.kind == NodeKind::kLinear) && n.parameters.size() > 1;
  }

  bool is_depthwise(const Node& n) const {
    if (n.kind != NodeKind::kConv || n.groups == 1 || has_bias(n)) return false;
    const int in = graph_.node(n.inputs[0]).shape.channels;
    const Window& w = n.window;
    // With a padding wider than the kernel's reach, the data gradient is no convolution with the
    // flipped kernel.
    return n.groups == in && n.shape.channels == in &&
           std::max(w.padding_top, w.padding_bottom) <= w.dilation * (w.kernel_height - 1) &&
           std::max(w.padding_left, w.padding_right) <= w.dilation * (w.kernel_width - 1) &&
           w.stride_height == w.stride_width && w.kernel_height <= options_.max_depthwise_height;
  }

  /// True for a concatenation of 1x1 convolutions that no other node reads. It is one matrix
  /// product.
  bool is_concat_of_pointwise(int node) const {
    const Node& n = graph_.node(node);
    return n.kind == NodeKind::kConcat &&
           std::all_of(n.inputs.begin(), n.inputs.end(), [&](int in) {
             const Node& conv = graph_.node(in);
             return is_pointwise(conv) && !has_bias(conv) && readers_[in] == 1 &&
                    !is_depthwise(graph_.node(conv.inputs[0]));
           });
  }

  int only_reader(int node) const {
    for (int i = node + 1; i < static_cast<int>(graph_.nodes().size()); ++i) {
      const auto& in = graph_.node(i).inputs;
      if (useful_[i] && std::find(in.begin(), in.end(), node) != in.end()) return i;
    }
    return node;
  }

  int new_stored(const Shape& shape, bool needs_gradient) {
    const int block = options_.channel_block;
    Stored s;
    s.shape = shape;
    s.map = {shape.height, shape.width, (shape.channels + block - 1) / block * block};
    s.producer = static_cast<int>(plan_.groups.size());
    s.raw = static_cast<int>(plan_.values.size());
    Value v;
    v.stored = static_cast<int>(plan_.stored.size());
    v.needs_gradient = needs_gradient;
    plan_.values.push_back(v);
    plan_.stored.push_back(s);
    return v.stored;
  }

  /// Appends a group that computes a map of `shape`, which becomes the view of `node`.
  void emit(Group group, int node, const Shape& shape) {
    bool needs_gradient = false;
    for (const Part& part : group.parts) {
      ++plan_.values[part.value].readers;
      needs_gradient = needs_gradient || plan_.values[part.value].needs_gradient;
    }
    needs_gradient =
        needs_gradient || group.kind == Group::Kind::kConv || group.kind == Group::Kind::kSeparable;
    group.node = node;
    if (group.kind != Group::Kind::kLoss) {
      group.out = new_stored(shape, needs_gradient);
      plan_.stored[group.out].is_bf16 =
          options_.precision == Precision::kBfloat16 && group.kind != Group::Kind::kInput &&
          (shape.height * shape.width > 1 ? !holds_scores(node) : options_.single_pixels_in_bf16);
      views_[node] = {Part{plan_.stored[group.out].raw}};
    }
    plan_.groups.push_back(std::move(group));
  }

  /// Whether a loss or the user reads the map of `node`: scores of pixels are always float32.
  bool holds_scores(int node) const {
    return node == graph_.scores() ||
           std::any_of(graph_.nodes().begin(), graph_.nodes().end(), [&](const Node& n) {
             return n.kind == NodeKind::kCrossEntropy && n.inputs[0] == node;
           });
  }

  /// Appends a group that stores the map of `node`, which was only a view before.
  void materialise(int node) {
    Group group;
    group.kind = Group::Kind::kMaterialise;
    group.parts = views_[node];
    emit(std::move(group), node, graph_.node(node).shape);
  }

  /// The view of `node` as one part without pixel shift; it is materialised if need be.
  Part single_part(int node) {
    if (views_[node].size() != 1 || views_[node][0].shifted) materialise(node);
    return views_[node][0];
  }

  /// The view of `node` as one stored map without batch norm and ReLU; it is
  /// materialised if need be.
  Part stored_part(int node) {
    if (single_part(node).relu || plan_.values[views_[node][0].value].norm >= 0) {
      materialise(node);
    }
    return views_[node][0];
  }

  /// The view of `node` without pixel shifts; it is materialised if need be.
  const std::vector<Part>& unshifted(int node) {
    for (const Part& part : views_[node]) {
      if (part.shifted) {
        materialise(node);
        break;
      }
    }
    return views_[node];
  }

  /// Adds node i to the plan: as a group, as a view, or not yet if its reader computes it.
  void place(int i) {
    const Node& n = graph_.node(i);
    switch (n.kind) {
      case NodeKind::kInput:
        return emit({.kind = Group::Kind::kInput}, i, n.shape);
      case NodeKind::kConv:
        return place_conv(i);
      case NodeKind::kLinear:
        return place_dense(i, {i});
      case NodeKind::kBatchNorm:
        return place_norm(i);
      case NodeKind::kRelu:
        views_[i] = views_[n.inputs[0]];
        for (Part& part : views_[i]) part.relu = true;
        return;
      case NodeKind::kPixelShift: {
        const auto& in = unshifted(n.inputs[0]);
        views_[i] = in;
        for (Part& part : views_[i]) part.shifted = true;
        return;
      }
      case NodeKind::kConcat:
        if (is_concat_of_pointwise(i)) return place_dense(i, n.inputs);
        for (const int in : n.inputs) {
          const auto& view = views_[in];
          views_[i].insert(views_[i].end(), view.begin(), view.end());
        }
        return;
      case NodeKind::kMaxPool:
      case NodeKind::kAveragePool:
        return emit({.kind = Group::Kind::kPool, .parts = {single_part(n.inputs[0])}}, i, n.shape);
      case NodeKind::kAdd: {
        Group group{.kind = Group::Kind::kAdd};
        for (const int in : n.inputs) group.parts.push_back(single_part(in));
        return emit(std::move(group), i, n.shape);
      }
      case NodeKind::kGlobalAveragePool:
        return emit({.kind = Group::Kind::kGlobalAverage, .parts = unshifted(n.inputs[0])}, i,
                    n.shape);
      case NodeKind::kDropout:
      case NodeKind::kDropPath:
        return emit({.kind = Group::Kind::kDropout, .parts = {single_part(n.inputs[0])}}, i,
                    n.shape);
      case NodeKind::kResize:
      case NodeKind::kBroadcast:
        return emit({.kind = Group::Kind::kResize, .parts = {stored_part(n.inputs[0])}}, i,
                    n.shape);
      case NodeKind::kSelectChannels:
        return emit({.kind = Group::Kind::kSelectChannels, .parts = {stored_part(n.inputs[0])}}, i,
                    n.shape);
      case NodeKind::kCrossEntropy:
        return emit({.kind = Group::Kind::kLoss, .parts = {stored_part(n.inputs[0])}}, i, n.shape);
    }
  }

  void place_conv(int i) {
    const Node& n = graph_.node(i);
    if (deferred(i)) return;
    if (is_depthwise(n)) {
      return emit(
          {.kind = Group::Kind::kSeparable, .depthwise = i, .parts = {single_part(n.inputs[0])}}, i,
          n.shape);
    }
    const int in = n.inputs[0];
    if (deferred(in) && is_depthwise(graph_.node(in))) {
      const Part source = single_part(graph_.node(in).inputs[0]);
      return emit(
          {.kind = Group::Kind::kSeparable, .depthwise = in, .pointwise = i, .parts = {source}}, i,
          n.shape);
    }
    place_dense(i, {i});
  }

  /// Appends a matrix product: the convolutions `convs` side by side in the output of node i.
  void place_dense(int i, const std::vector<int>& convs) {
    Group group{.kind = Group::Kind::kConv};
    int column = 0;
    for (const int conv : convs) {
      const Node& n = graph_.node(conv);
      int first = 0;
      // A pixel shift lets the window start inside the map, which only 1x1 windows may.
      const auto& view = is_pointwise(n) ? views_[n.inputs[0]] : unshifted(n.inputs[0]);
      for (const Part& part : view) {
        group.parts.push_back(part);
        group.terms.push_back({conv, first, column});
        first += plan_.stored[plan_.values[part.value].stored].shape.channels;
      }
      column += n.shape.channels;
    }
    emit(std::move(group), i, graph_.node(i).shape);
  }

  void place_norm(int i) {
    const int in = graph_.node(i).inputs[0];
    int stored = plan_.values[stored_part(in).value].stored;
    if (plan_.stored[stored].normalised >= 0) {  // another batch norm reads the map
      materialise(in);
      stored = plan_.values[views_[in][0].value].stored;
    }
    Norm norm;
    norm.node = i;
    norm.stored = stored;
    Value value;
    value.stored = stored;
    value.norm = static_cast<int>(plan_.norms.size());
    value.needs_gradient = true;
    plan_.stored[stored].normalised = static_cast<int>(plan_.values.size());
    views_[i] = {Part{static_cast<int>(plan_.values.size())}};
    plan_.values.push_back(value);
    plan_.norms.push_back(norm);
  }

  /// Marks the groups that the scores depend on: what inference runs.
  void mark_scores() {
    std::vector<bool> needed(plan_.stored.size(), false);
    needed[plan_.scores] = true;
    for (auto group = plan_.groups.rbegin(); group != plan_.groups.rend(); ++group) {
      group->scores = group->out >= 0 && needed[group->out];
      if (!group->scores) continue;
      for (const Part& part : group->parts) needed[plan_.values[part.value].stored] = true;
    }
  }

  /// Walks the groups backward and decides for each gradient who writes it first, who adds to it,
  /// and which summands share the gradient of their sum.
  void plan_gradients() {
    for (auto group = plan_.groups.rbegin(); group != plan_.groups.rend(); ++group) {
      if (group->kind == Group::Kind::kLoss) {
        group->backward = true;
      } else {
        group->backward = settle_output(*group);
      }
      if (!group->backward) continue;
      for (Part& part : group->parts) {
        Value& value = plan_.values[part.value];
        if (!value.needs_gradient) continue;
        if (group->kind == Group::Kind::kAdd && may_alias(part, value, *group)) {
          value.alias = plan_.root(plan_.stored[group->out].raw);
          value.written = true;
          continue;
        }
        part.gradient = true;
        part.accumulate = value.written;
        value.written = true;
      }
    }
  }

  /// Lets the last writer of a normalised value's gradient take the batch norm's backward sums, if
  /// it can (see PlanOptions::takes_norm_sums).
  void plan_norm_sums() {
    std::vector<bool> seen(plan_.values.size(), false);
    for (Group& group : plan_.groups) {  // the first group comes last in the backward pass
      for (auto part = group.parts.rbegin(); part != group.parts.rend(); ++part) {
        const Value& value = plan_.values[part->value];
        if (!part->gradient || value.norm < 0 || seen[part->value]) continue;
        seen[part->value] = true;
        part->sums = options_.takes_norm_sums && options_.takes_norm_sums(graph_, group);
        plan_.norms[value.norm].summed = part->sums;
      }
    }
  }

  /// Returns whether the group's output has a gradient. Decides how the gradient behind a batch
  /// norm reaches the raw map.
  bool settle_output(const Group& group) {
    Stored& stored = plan_.stored[group.out];
    Value& raw = plan_.values[stored.raw];
    if (stored.normalised >= 0 && plan_.values[stored.normalised].written) {
      Norm& norm = plan_.norms[plan_.values[stored.normalised].norm];
      norm.has_gradient = true;
      norm.adds = raw.written;
      // A bias needs the gradient of the raw map itself.
      norm.fused = !raw.written && !has_bias(graph_.node(group.node)) &&
                   (group.kind == Group::Kind::kConv || group.kind == Group::Kind::kSeparable);
      if (!norm.fused && raw.needs_gradient) raw.written = true;
      return raw.needs_gradient;
    }
    return raw.written;
  }

  /// True if the summand `part` can share the gradient of `sum`: only the sum reads it.
  bool may_alias(const Part& part, const Value& value, const Group& sum) const {
    if (part.relu || part.shifted || value.readers != 1 || value.written) return false;
    const Stored& stored = plan_.stored[value.stored];
    if (stored.is_bf16 != plan_.stored[sum.out].is_bf16) return false;
    for (const int other : {stored.raw, stored.normalised}) {
      if (other >= 0 && other != part.value && plan_.values[other].readers > 0) return false;
    }
    // A raw map that a batch norm reads would get the norm's share added in place.
    return value.norm >= 0 || stored.normalised < 0;
  }

  const Graph& graph_;
  const PlanOptions& options_;
  Plan plan_;
  std::vector<bool> useful_;
  std::vector<int> readers_;
  std::vector<std::vector<Part>> views_;
};

}  // namespace

int Plan::root(int value) const {
  while (values[value].alias >= 0) {
    value = values[value].alias;
  }
  return value;
}

Plan make_plan(const Graph& graph, const PlanOptions& options) {
  Plan plan = Planner(graph, options).take();
  lay_out(plan, options.batch, options.alignment, options.rest);
  return plan;
}

std::vector<int> twin_norms(const Plan& plan) {
  std::vector<int> twins(plan.norms.size(), -1);
  std::map<int, int> unpaired;  // norm, by the value that owns its gradient
  for (int i = 0; i < static_cast<int>(plan.norms.size()); ++i) {
    const Norm& norm = plan.norms[i];
    if (!norm.has_gradient || norm.summed) continue;
    const Stored& stored = plan.stored[norm.stored];
    const int root = plan.root(stored.normalised);
    const auto other = unpaired.find(root);
    if (other == unpaired.end()) {
      unpaired.emplace(root, i);
      continue;
    }
    twins[i] = other->second;
    twins[other->second] = i;
    unpaired.erase(other);
  }
  return twins;
}

}  // namespace renas::plan
