#include "backend/cpu/plan.h"

#include <algorithm>

#include "backend/cpu/arena.h"

namespace renas::cpu {

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
      return "join";
    case Group::Kind::kGlobalAverage:
      return "mean";
    case Group::Kind::kDropout:
      return "drop";
    case Group::Kind::kLoss:
      return "loss";
  }
  return "";
}

namespace {

bool is_pointwise(const Node& n) {
  return n.kind == NodeKind::kConv && n.kernel_height == 1 && n.kernel_width == 1 &&
         n.groups == 1 && n.padding_height == 0 && n.padding_width == 0;
}

class Planner {
 public:
  Planner(const Graph& graph, bool training, Precision precision)
      : graph_(graph), training_(training), precision_(precision) {
    mark_useful();
    views_.resize(graph.nodes().size());
    for (int i = 0; i < static_cast<int>(graph.nodes().size()); ++i) {
      if (useful_[at(i)]) place(i);
    }
    plan_.scores = plan_.values[at(plain(graph.scores()).value)].stored;
    mark_scores();
    if (training) {
      plan_gradients();
      plan_norm_sums();
    }
  }

  Plan take() { return std::move(plan_); }

 private:
  static std::size_t at(int i) { return static_cast<std::size_t>(i); }

  /// Nodes that the scores or a loss depend on, and how many of them read each.
  void mark_useful() {
    const auto& nodes = graph_.nodes();
    useful_.assign(nodes.size(), false);
    readers_.assign(nodes.size(), 0);
    for (std::size_t i = nodes.size(); i-- > 0;) {
      if (static_cast<int>(i) == graph_.scores() ||
          (training_ && nodes[i].kind == NodeKind::kCrossEntropy)) {
        useful_[i] = true;
      }
      if (!useful_[i]) continue;
      for (const int in : nodes[i].inputs) {
        useful_[at(in)] = true;
        ++readers_[at(in)];
      }
    }
    ++readers_[at(graph_.scores())];
  }

  /// True if `node`, a convolution, is computed inside its only reader.
  bool deferred(int node) const {
    const Node& n = graph_.node(node);
    if (n.kind != NodeKind::kConv || readers_[at(node)] != 1 || node == graph_.scores())
      return false;
    const int reader = only_reader(node);
    const Node& r = graph_.node(reader);
    if (is_depthwise(n)) return is_pointwise(r) && r.stride == 1;
    return is_pointwise(n) && is_concat_of_pointwise(reader);
  }

  bool is_depthwise(const Node& n) const {
    if (n.kind != NodeKind::kConv || n.groups == 1) return false;
    const int in = graph_.node(n.inputs[0]).shape.channels;
    // A padding wider than the kernel's reach has no flipped counterpart.
    return n.groups == in && n.shape.channels == in &&
           n.padding_height <= n.dilation * (n.kernel_height - 1) &&
           n.padding_width <= n.dilation * (n.kernel_width - 1) && n.kernel_height <= 64;
  }

  /// A concatenation of 1x1 convolutions that nobody else reads: one matrix product.
  bool is_concat_of_pointwise(int node) const {
    const Node& n = graph_.node(node);
    return n.kind == NodeKind::kConcat &&
           std::all_of(n.inputs.begin(), n.inputs.end(), [&](int in) {
             const Node& conv = graph_.node(in);
             return is_pointwise(conv) && readers_[at(in)] == 1 &&
                    !is_depthwise(graph_.node(conv.inputs[0]));
           });
  }

  int only_reader(int node) const {
    for (int i = node + 1; i < static_cast<int>(graph_.nodes().size()); ++i) {
      const auto& in = graph_.node(i).inputs;
      if (useful_[at(i)] && std::find(in.begin(), in.end(), node) != in.end()) return i;
    }
    return node;
  }

  int new_stored(const Shape& shape, bool wanted) {
    Stored s;
    s.shape = shape;
    s.map = {shape.height, shape.width, padded(shape.channels)};
    s.producer = static_cast<int>(plan_.groups.size());
    s.raw = static_cast<int>(plan_.values.size());
    Value v;
    v.stored = static_cast<int>(plan_.stored.size());
    v.wanted = wanted;
    plan_.values.push_back(v);
    plan_.stored.push_back(s);
    return v.stored;
  }

  /// Appends a group that computes a map of `shape`, and gives `node` its view.
  void emit(Group group, int node, const Shape& shape) {
    bool wanted = false;
    for (const Part& part : group.parts) {
      ++plan_.values[at(part.value)].readers;
      wanted = wanted || plan_.values[at(part.value)].wanted;
    }
    wanted = wanted || group.kind == Group::Kind::kConv || group.kind == Group::Kind::kSeparable;
    group.node = node;
    if (group.kind != Group::Kind::kLoss) {
      group.out = new_stored(shape, wanted);
      plan_.stored[at(group.out)].is_bf16 = precision_ == Precision::kBfloat16 &&
                                            group.kind != Group::Kind::kInput &&
                                            shape.height * shape.width > 1;
      views_[at(node)] = {Part{plan_.stored[at(group.out)].raw}};
    }
    plan_.groups.push_back(std::move(group));
  }

  /// Stores what `node` shows, where it is only a view.
  void materialise(int node) {
    Group group;
    group.kind = Group::Kind::kMaterialise;
    group.parts = views_[at(node)];
    emit(std::move(group), node, graph_.node(node).shape);
  }

  Part single(int node) {
    if (views_[at(node)].size() != 1 || views_[at(node)][0].shifted) materialise(node);
    return views_[at(node)][0];
  }

  Part plain(int node) {
    if (single(node).relu || plan_.values[at(views_[at(node)][0].value)].norm >= 0)
      materialise(node);
    return views_[at(node)][0];
  }

  const std::vector<Part>& unshifted(int node) {
    for (const Part& part : views_[at(node)]) {
      if (part.shifted) {
        materialise(node);
        break;
      }
    }
    return views_[at(node)];
  }

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
        views_[at(i)] = views_[at(n.inputs[0])];
        for (Part& part : views_[at(i)]) part.relu = true;
        return;
      case NodeKind::kShift: {
        const auto& in = unshifted(n.inputs[0]);
        views_[at(i)] = in;
        for (Part& part : views_[at(i)]) part.shifted = true;
        return;
      }
      case NodeKind::kConcat:
        if (is_concat_of_pointwise(i)) return place_dense(i, n.inputs);
        for (const int in : n.inputs) {
          const auto& view = views_[at(in)];
          views_[at(i)].insert(views_[at(i)].end(), view.begin(), view.end());
        }
        return;
      case NodeKind::kMaxPool:
      case NodeKind::kMeanPool:
        return emit({.kind = Group::Kind::kPool, .parts = {single(n.inputs[0])}}, i, n.shape);
      case NodeKind::kAdd: {
        Group group{.kind = Group::Kind::kAdd};
        for (const int in : n.inputs) group.parts.push_back(single(in));
        return emit(std::move(group), i, n.shape);
      }
      case NodeKind::kGlobalMean:
        return emit({.kind = Group::Kind::kGlobalAverage, .parts = unshifted(n.inputs[0])}, i,
                    n.shape);
      case NodeKind::kDropout:
      case NodeKind::kDropPath:
        return emit({.kind = Group::Kind::kDropout, .parts = {single(n.inputs[0])}}, i, n.shape);
      case NodeKind::kCrossEntropy:
        return emit({.kind = Group::Kind::kLoss, .parts = {plain(n.inputs[0])}}, i, n.shape);
    }
  }

  void place_conv(int i) {
    const Node& n = graph_.node(i);
    if (deferred(i)) return;
    if (is_depthwise(n)) {
      return emit({.kind = Group::Kind::kSeparable, .depthwise = i, .parts = {single(n.inputs[0])}},
                  i, n.shape);
    }
    const int in = n.inputs[0];
    if (deferred(in) && is_depthwise(graph_.node(in))) {
      const Part source = single(graph_.node(in).inputs[0]);
      return emit(
          {.kind = Group::Kind::kSeparable, .depthwise = in, .pointwise = i, .parts = {source}}, i,
          n.shape);
    }
    place_dense(i, {i});
  }

  /// The matrix product of `convs`, side by side in the output.
  void place_dense(int i, const std::vector<int>& convs) {
    Group group{.kind = Group::Kind::kConv};
    int column = 0;
    for (const int conv : convs) {
      const Node& n = graph_.node(conv);
      int first = 0;
      // Only a 1x1 window without padding may start inside the map.
      const auto& view = is_pointwise(n) ? views_[at(n.inputs[0])] : unshifted(n.inputs[0]);
      for (const Part& part : view) {
        group.parts.push_back(part);
        group.terms.push_back({conv, first, column});
        first += plan_.stored[at(plan_.values[at(part.value)].stored)].shape.channels;
      }
      column += n.shape.channels;
    }
    emit(std::move(group), i, graph_.node(i).shape);
  }

  void place_norm(int i) {
    const int in = graph_.node(i).inputs[0];
    int stored = plan_.values[at(plain(in).value)].stored;
    if (plan_.stored[at(stored)].normalised >= 0) {  // by another batch norm
      materialise(in);
      stored = plan_.values[at(views_[at(in)][0].value)].stored;
    }
    Norm norm;
    norm.node = i;
    norm.stored = stored;
    Value value;
    value.stored = stored;
    value.norm = static_cast<int>(plan_.norms.size());
    value.wanted = true;
    plan_.stored[at(stored)].normalised = static_cast<int>(plan_.values.size());
    views_[at(i)] = {Part{static_cast<int>(plan_.values.size())}};
    plan_.values.push_back(value);
    plan_.norms.push_back(norm);
  }

  void mark_scores() {
    std::vector<bool> needed(plan_.stored.size(), false);
    needed[at(plan_.scores)] = true;
    for (auto group = plan_.groups.rbegin(); group != plan_.groups.rend(); ++group) {
      group->scores = group->out >= 0 && needed[at(group->out)];
      if (!group->scores) continue;
      for (const Part& part : group->parts) needed[at(plan_.values[at(part.value)].stored)] = true;
    }
  }

  /// Walks the groups backward: who writes a gradient first, who adds, which sums pass theirs on as
  /// it is.
  void plan_gradients() {
    for (auto group = plan_.groups.rbegin(); group != plan_.groups.rend(); ++group) {
      if (group->kind == Group::Kind::kLoss) {
        group->backward = true;
      } else {
        group->backward = settle_output(*group);
      }
      if (!group->backward) continue;
      for (Part& part : group->parts) {
        Value& value = plan_.values[at(part.value)];
        if (!value.wanted) continue;
        if (group->kind == Group::Kind::kAdd && may_alias(part, value, *group)) {
          value.alias = plan_.root(plan_.stored[at(group->out)].raw);
          value.written = true;
          continue;
        }
        part.gradient = true;
        part.accumulate = value.written;
        value.written = true;
      }
    }
  }

  /// The last writer of a normalised value's gradient takes the batch norm's sums of it while its
  /// tile is in cache, if it writes whole tiles in order.
  void plan_norm_sums() {
    std::vector<bool> seen(plan_.values.size(), false);
    for (Group& group : plan_.groups) {  // backward, the first group comes last
      for (auto part = group.parts.rbegin(); part != group.parts.rend(); ++part) {
        const Value& value = plan_.values[at(part->value)];
        if (!part->gradient || value.norm < 0 || seen[at(part->value)]) continue;
        seen[at(part->value)] = true;
        part->sums = writes_in_order(group);
        plan_.norms[at(value.norm)].summed = part->sums;
      }
    }
  }

  bool writes_in_order(const Group& group) const {
    if (group.kind == Group::Kind::kSeparable) return true;
    if (group.kind != Group::Kind::kConv) return false;
    for (std::size_t k = 0; k < group.parts.size(); ++k) {
      const Node& conv = graph_.node(group.terms[k].conv);
      const bool contiguous = is_pointwise(conv) && conv.stride == 1 && !group.parts[k].shifted;
      if (!contiguous) return false;
    }
    return true;
  }

  /// Whether the group's output has a gradient, and how a batch norm's reaches the raw map.
  bool settle_output(const Group& group) {
    Stored& stored = plan_.stored[at(group.out)];
    Value& raw = plan_.values[at(stored.raw)];
    if (stored.normalised >= 0 && plan_.values[at(stored.normalised)].written) {
      Norm& norm = plan_.norms[at(plan_.values[at(stored.normalised)].norm)];
      norm.has_gradient = true;
      norm.adds = raw.written;
      // A linear layer's bias wants the raw gradient itself.
      norm.fused = !raw.written && graph_.node(group.node).kind != NodeKind::kLinear &&
                   (group.kind == Group::Kind::kConv || group.kind == Group::Kind::kSeparable);
      if (!norm.fused && raw.wanted) raw.written = true;
      return raw.wanted;
    }
    return raw.written;
  }

  /// A summand that only the sum reads has the sum's gradient.
  bool may_alias(const Part& part, const Value& value, const Group& sum) const {
    if (part.relu || part.shifted || value.readers != 1 || value.written) return false;
    const Stored& stored = plan_.stored[at(value.stored)];
    if (stored.is_bf16 != plan_.stored[at(sum.out)].is_bf16) return false;
    for (const int other : {stored.raw, stored.normalised}) {
      if (other >= 0 && other != part.value && plan_.values[at(other)].readers > 0) return false;
    }
    // Raw with a batch norm behind it would have the norm's share added in place.
    return value.norm >= 0 || stored.normalised < 0;
  }

  const Graph& graph_;
  bool training_;
  Precision precision_;
  Plan plan_;
  std::vector<bool> useful_;
  std::vector<int> readers_;
  std::vector<std::vector<Part>> views_;
};

/// Gives every stored map and gradient its place. Group i runs forward at time i and backward at
/// time 2 G - 1 - i.
void lay_out(Plan& plan, int batch) {
  const int groups = static_cast<int>(plan.groups.size());
  const int end = 2 * groups;
  std::vector<LiveRange> lives;
  std::vector<std::size_t*> offsets;
  std::vector<int> first_write(plan.values.size(), end);
  std::vector<int> last_read(plan.stored.size(), 0);
  std::vector<int> last_gradient(plan.values.size(), -1);
  const auto at = [](int i) { return static_cast<std::size_t>(i); };
  for (int i = 0; i < groups; ++i) {
    const Group& group = plan.groups[at(i)];
    const int back = end - 1 - i;
    for (const Part& part : group.parts) {
      int& last = last_read[at(plan.values[at(part.value)].stored)];
      last = std::max(last, group.backward ? back : i);
      if (part.gradient) {
        int& first = first_write[at(plan.root(part.value))];
        first = std::min(first, back);
      }
    }
    if (group.out < 0) continue;
    last_read[at(group.out)] = std::max(last_read[at(group.out)], i);
    if (!group.backward && !(plan.stored[at(group.out)].normalised >= 0)) continue;
    const Stored& stored = plan.stored[at(group.out)];
    for (const int value : {stored.raw, stored.normalised}) {
      if (value < 0 || !plan.values[at(value)].written) continue;
      int& last = last_gradient[at(plan.root(value))];
      last = std::max(last, back);
      last_read[at(group.out)] = std::max(last_read[at(group.out)], back);
      // A batch norm's share may be all that the raw gradient gets.
      int& first = first_write[at(plan.root(value))];
      first = std::min(first, back);
    }
  }
  last_read[at(plan.scores)] = end;
  const auto floats = [&](const Stored& stored) {
    const std::size_t numbers = stored.map.size() * at(batch);
    return stored.is_bf16 ? numbers / 2 : numbers;  // channels are padded to an even number
  };
  for (std::size_t s = 0; s < plan.stored.size(); ++s) {
    Stored& stored = plan.stored[s];
    lives.push_back({floats(stored), stored.producer, last_read[s]});
    offsets.push_back(&stored.offset);
  }
  for (std::size_t v = 0; v < plan.values.size(); ++v) {
    if (plan.values[v].alias >= 0 || last_gradient[v] < 0) continue;
    lives.push_back(
        {floats(plan.stored[at(plan.values[v].stored)]), first_write[v], last_gradient[v]});
    offsets.push_back(&plan.values[v].offset);
  }
  const std::vector<std::size_t> places = pack_live_ranges(lives, plan.arena);
  for (std::size_t i = 0; i < places.size(); ++i) *offsets[i] = places[i];
  for (std::size_t v = 0; v < plan.values.size(); ++v) {
    plan.values[v].offset = plan.values[at(plan.root(static_cast<int>(v)))].offset;
  }
}

}  // namespace

int Plan::root(int value) const {
  while (values[static_cast<std::size_t>(value)].alias >= 0) {
    value = values[static_cast<std::size_t>(value)].alias;
  }
  return value;
}

Plan make_plan(const Graph& graph, bool training, int batch, Precision precision) {
  Plan plan = Planner(graph, training, precision).take();
  lay_out(plan, batch);
  return plan;
}

}  // namespace renas::cpu
