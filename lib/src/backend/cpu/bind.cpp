#include <algorithm>
#include <map>
#include <utility>

#include "backend/contract.h"
#include "backend/cpu/kernels/bf16_kernels.h"
#include "backend/cpu/program.h"

namespace renas::cpu {

namespace {

constexpr std::size_t kAlign = 16;  // floats
std::size_t aligned(std::size_t floats) { return (floats + kAlign - 1) / kAlign * kAlign; }

}  // namespace

CpuProgram::CpuProgram(const Graph& graph, const ProgramOptions& options,
                       std::shared_ptr<ArenaCache> cache)
    : arena_cache_(std::move(cache)), graph_(graph), options_(options), threads_(options.threads) {
  contract::check_program(graph_, options_);
  plan_ = make_plan(graph_, options_.training, options_.batch, options_.precision);
  classes_ = graph_.node(graph_.scores()).shape.channels;
  bind();
}

CpuProgram::~CpuProgram() { arena_cache_->put_back(std::move(arena_)); }

void CpuProgram::bind() {
  std::size_t total = 0;
  for (const Parameter& p : graph_.parameters()) {
    offsets_.push_back(total);
    total += aligned(static_cast<std::size_t>(p.size()));
  }
  weights_ = Buffer(total);
  if (options_.training) {
    gradients_ = Buffer(total);
    momenta_ = Buffer(total);
  }
  // Every kernel writes whole maps, padding included, before anyone reads them.
  arena_ = arena_cache_->take(plan_.arena);
  labels_.resize(static_cast<std::size_t>(options_.batch));
  for (const Node& node : graph_.nodes()) {
    if (node.kind != NodeKind::kInput) continue;
    images_ = Buffer(static_cast<std::size_t>(node.shape.size() * options_.batch));
  }
  staging_ = {{images_.data(), images_.size()}, labels_, 0};

  std::size_t coefficients = 0;
  for (const Norm& norm : plan_.norms) {
    coefficients += 7 * static_cast<std::size_t>(
                            plan_.stored[static_cast<std::size_t>(norm.stored)].map.channels);
  }
  coefficients_ = Buffer(coefficients);
  float* next = coefficients_.data();
  for (const Norm& norm : plan_.norms) {
    const Stored& stored = plan_.stored[static_cast<std::size_t>(norm.stored)];
    NormState state;
    state.norm = norm;
    state.channels = stored.shape.channels;
    state.stride = stored.map.channels;
    for (std::vector<double>* numbers : {&state.inverse, &state.sum, &state.sum_dy_xmu}) {
      numbers->resize(static_cast<std::size_t>(state.channels));
    }
    for (float** p : {&state.scale, &state.shift, &state.mean, &state.centre, &state.dy_scale,
                      &state.x_scale, &state.offset}) {
      *p = next;
      next += state.stride;
    }
    norms_.push_back(std::move(state));
  }

  std::size_t packed = 0;
  std::size_t sums = 0;
  for (int i = 0; i < static_cast<int>(plan_.groups.size()); ++i) {
    bind_group(i);
    Bound& bound = groups_.back();
    bound.packed_forward = packed;
    packed += aligned(bound.weights.forward_size);
    bound.packed_backward = packed;
    packed += aligned(options_.training ? bound.weights.backward_size : 0);
    bound.bf16_weights = packed;
    if (bound.conv.bf16_kernels != nullptr)
      packed += aligned(bound.conv.bf16_kernels->packed(bound.conv));
    if (bound.separable.bf16_kernels != nullptr) {
      packed += aligned(bound.separable.bf16_kernels->packed(bound.separable));
    }
    partial_size_ = std::max(partial_size_, aligned(bound.partial_floats));
    sums = std::max(sums, static_cast<std::size_t>(3 * bound.out.map.channels));
    scratch_size_ = std::max(
        {scratch_size_, aligned(conv_scratch(bound.conv)),
         aligned(bound.group.kind == Group::Kind::kSeparable ? separable_scratch(bound.separable)
                                                             : 0),
         aligned(bound.group.kind == Group::Kind::kPool ? pool_scratch(bound.pool) : 0)});
  }
  find_twins();
  packed_ = Buffer(packed);
  for (Bound& bound : groups_) bind_weights(bound, bound.weights);
  const std::size_t areas = static_cast<std::size_t>(std::min(kImageRanges, options_.batch));
  // One more partial, where the others are added up.
  if (options_.training) partials_ = Buffer(partial_size_ * (areas + 1));
  sums_ = Buffer(aligned(sums) * areas);
  scratch_ = Buffer(scratch_size_ * static_cast<std::size_t>(options_.threads));
}

/// Summands of one sum have its gradient, where nobody else reads them.
void CpuProgram::find_twins() {
  std::map<int, NormState*> alone;  // by whose gradient it is
  for (NormState& norm : norms_) {
    if (!norm.norm.has_gradient || norm.norm.summed) continue;
    const Stored& stored = plan_.stored[static_cast<std::size_t>(norm.norm.stored)];
    NormState*& other = alone[plan_.root(stored.normalised)];
    if (other == nullptr) {
      other = &norm;
      continue;
    }
    other->twin = static_cast<int>(&norm - norms_.data());
    norm.twin = static_cast<int>(other - norms_.data());
    other = nullptr;
  }
}

MapData CpuProgram::map_data(const Stored& stored, std::size_t offset) const {
  return {arena_.data() + offset, stored.is_bf16};
}

InputView CpuProgram::source_of(const Part& part) const {
  const Value& value = plan_.values[static_cast<std::size_t>(part.value)];
  const Stored& stored = plan_.stored[static_cast<std::size_t>(value.stored)];
  InputView source;
  source.map = stored.map;
  source.data = map_data(stored, stored.offset);
  if (value.norm >= 0) {
    const NormState& norm = norms_[static_cast<std::size_t>(value.norm)];
    source.scale = norm.scale;
    source.shift = norm.shift;
  }
  source.relu = part.relu;
  if (part.gradient) source.gradient = map_data(stored, value.offset);
  source.accumulate = part.accumulate;
  return source;
}

void CpuProgram::bind_output(Bound& bound) {
  const Stored& stored = plan_.stored[static_cast<std::size_t>(bound.group.out)];
  bound.raw_value = stored.raw;
  OutputMap& out = bound.out;
  out.map = stored.map;
  out.data = map_data(stored, stored.offset);
  const Value& raw = plan_.values[static_cast<std::size_t>(stored.raw)];
  if (raw.written) out.gradient = map_data(stored, raw.offset);
  if (stored.normalised < 0) return;
  const Value& normalised = plan_.values[static_cast<std::size_t>(stored.normalised)];
  bound.norm = normalised.norm;
  const NormState& norm = norms_[static_cast<std::size_t>(bound.norm)];
  out.centre = norm.centre;
  if (!norm.norm.fused) return;
  out.gradient = map_data(stored, normalised.offset);
  out.dy_scale = norm.dy_scale;
  out.x_scale = norm.x_scale;
  out.offset = norm.offset;
}

void CpuProgram::bind_group(int index) {
  Bound bound;
  bound.group = plan_.groups[static_cast<std::size_t>(index)];
  const Group& group = bound.group;
  const Node& node = graph_.node(group.node);
  if (group.out >= 0) bind_output(bound);
  std::vector<InputView> sources;
  std::vector<int> channels;
  std::vector<int> shifted;
  for (const Part& part : group.parts) {
    sources.push_back(source_of(part));
    const Value& value = plan_.values[static_cast<std::size_t>(part.value)];
    channels.push_back(plan_.stored[static_cast<std::size_t>(value.stored)].shape.channels);
    shifted.push_back(part.shifted ? 1 : 0);
  }
  switch (group.kind) {
    case Group::Kind::kConv:
      bound.conv.out = bound.out;
      for (std::size_t k = 0; k < sources.size(); ++k) {
        const Node& conv = graph_.node(group.terms[k].conv);
        TermArgs term;
        term.in = sources[k];
        term.window = window_of(conv, graph_.node(conv.inputs[0]).shape);
        term.window.top -= shifted[k];
        term.window.left -= shifted[k];
        term.k_channels = channels[k];
        bound.conv.terms.push_back(term);
      }
      if (node.kind == NodeKind::kLinear) bound.bias = node.parameters[1];
      bound.weights = map_weights(graph_, group, bound.conv);
      bound.conv.bf16_kernels = bf16::kernels_for(bound.conv);
      break;
    case Group::Kind::kSeparable: {
      const Node& depthwise = graph_.node(group.depthwise);
      bound.separable.in = sources[0];
      bound.separable.window = window_of(depthwise, {});
      bound.separable.out = bound.out;
      bound.weights = map_weights(graph_, group, bound.separable);
      bound.separable.bf16_kernels = bf16::kernels_for(bound.separable);
      break;
    }
    case Group::Kind::kPool:
      bound.pool = {sources[0], window_of(node, {}), node.kind == NodeKind::kMaxPool, bound.out};
      break;
    case Group::Kind::kAdd:
      bound.add = {sources, bound.out};
      break;
    case Group::Kind::kMaterialise:
    case Group::Kind::kGlobalAverage:
    case Group::Kind::kDropout:
    case Group::Kind::kLoss:
      bound.join = {sources, channels, shifted, bound.out};
      break;
    case Group::Kind::kInput:
      break;
  }
  bind_sums(bound);
  groups_.push_back(std::move(bound));
}

void CpuProgram::bind_sums(Bound& bound) {
  bound.partial_floats = aligned(bound.weights.forward_size);
  for (std::size_t k = 0; k < bound.group.parts.size(); ++k) {
    const Part& part = bound.group.parts[k];
    if (!part.sums) continue;
    const int norm = plan_.values[static_cast<std::size_t>(part.value)].norm;
    const NormState& state = norms_[static_cast<std::size_t>(norm)];
    InputView& source =
        bound.group.kind == Group::Kind::kConv ? bound.conv.terms[k].in : bound.separable.in;
    source.mean = state.mean;
    source.sums = bound.partial_floats;
    bound.sums.push_back({norm, bound.partial_floats});
    bound.partial_floats += aligned(static_cast<std::size_t>(2 * state.stride));
  }
}

void CpuProgram::bind_weights(Bound& bound, const GroupWeights& weights) {
  if (weights.maps.empty()) return;
  const float* forward = packed_.data() + bound.packed_forward;
  const float* backward = packed_.data() + bound.packed_backward;
  bound.conv.bf16_weights = bound.separable.bf16_weights = packed_.data() + bound.bf16_weights;
  if (bound.group.kind == Group::Kind::kSeparable) {
    SeparableArgs& args = bound.separable;
    args.depthwise = forward;
    args.depthwise_flipped = backward;
    if (bound.group.pointwise >= 0) {
      args.pointwise = forward + args.pointwise_gradient;
      args.pointwise_transposed = backward + args.pointwise_gradient;
    }
    return;
  }
  for (TermArgs& term : bound.conv.terms) {
    term.weight = forward + term.weight_gradient;
    term.weight_transposed = backward + term.weight_gradient;
    if (bound.conv.bf16_kernels != nullptr) continue;
    const int columns = bound.conv.out.map.channels;
    term.product = product_of(term.weight, term.depth, columns);
    if (options_.training) {
      term.product_transposed = product_of(term.weight_transposed, columns, term.depth);
    }
  }
}

const TileProduct* CpuProgram::product_of(const float* weights, int depth, int columns) {
  if (!TileProduct::pays(depth, columns)) return nullptr;
  products_.push_back(
      {std::make_unique<TileProduct>(kTilePixels, depth, columns, options_.threads), weights});
  return products_.back().product.get();
}

int64_t CpuProgram::bytes(const Graph& graph, const ProgramOptions& options) {
  const Plan plan = make_plan(graph, options.training, options.batch, options.precision);
  std::size_t floats = plan.arena;
  for (const Parameter& p : graph.parameters()) {
    // Weights, gradients, momenta, and two packed copies, perhaps two of pairs.
    floats += (options.training ? 5 : 2) * static_cast<std::size_t>(p.size());
    if (options.precision == Precision::kBfloat16) floats += static_cast<std::size_t>(p.size());
  }
  for (const Node& node : graph.nodes()) {
    if (node.kind == NodeKind::kInput) {
      floats += static_cast<std::size_t>(node.shape.size() * options.batch);
    }
  }
  return static_cast<int64_t>(floats * sizeof(float));
}

}  // namespace renas::cpu
