#include "backend/contract.h"
#include "backend/cudnn/program.h"

namespace renas::cudnn {

namespace {

plan::PlanOptions plan_options(const ProgramOptions& options) {
  plan::PlanOptions o;
  o.training = options.training;
  o.batch = options.batch;
  o.precision = options.precision;
  o.alignment = 64;  // floats
  return o;
}

/// Checks before anything is planned.
const Graph& checked(const Graph& graph, const ProgramOptions& options) {
  contract::check_program(graph, options);
  return graph;
}

}  // namespace

GpuNetwork::GpuNetwork(const Graph& graph, const ProgramOptions& options, PlanCache* plans)
    : graph_(checked(graph, options)),
      options_(options),
      plan_(plan::make_plan(graph_, plan_options(options))),
      parameters_(graph_, options_),
      norms_(graph_, plan_, options.batch, options.frozen_statistics) {
  for (const plan::Group& group : plan_.groups) {
    groups_.push_back(make_group({graph_, plan_, options_, plans}, group));
    groups_.back()->reserve(workspace_);
    packed_floats_ += groups_.back()->packed_floats();
  }
  workspace_.needs_partials(2 * norms_.partial_doubles());
}

void GpuNetwork::bind(Layout& layout) {
  const auto batch = static_cast<std::size_t>(options_.batch);
  arena_ = layout.take<float>(plan_.arena);
  parameters_.bind(layout);
  norms_.bind(layout, parameters_);
  packed_ = layout.take<float>(packed_floats_);
  workspace_.partials = layout.take<float>(workspace_.partial_floats);
  for (int i : {0, 1}) workspace_.scratch[i] = layout.take<std::byte>(workspace_.scratch_bytes[i]);
  workspace_.cudnn = layout.take<std::byte>(workspace_.cudnn_bytes);
  state_ = layout.take<StepState>(1);
  for (const Node& node : graph_.nodes()) {
    if (node.kind != NodeKind::kInput) continue;
    images_ = layout.take<float>(static_cast<std::size_t>(node.shape.size()) * batch);
  }
  labels_ = layout.take<int32_t>(batch * contract::labels_per_image(graph_));
  step_ = {images_, labels_, layout.take<MetricSums>(kLossBlocks), layout.take<MetricSums>(1)};
  views_.emplace(plan_, arena_, norms_.coefficients());
  float* packed = packed_;
  for (const auto& group : groups_) {
    group->bind({layout, *views_, parameters_, workspace_, step_, packed});
    packed += group->packed_floats();
  }
  bind_packing(layout);
}

void GpuNetwork::bind_packing(Layout& layout) {
  std::vector<uint32_t> from;
  std::vector<uint32_t> to;
  std::size_t first = 0;
  for (const auto& group : groups_) {
    const plan::GroupWeights& weights = group->weights();
    const auto add = [&](const plan::WeightMap& map, std::size_t base,
                         const std::vector<uint32_t>& places) {
      const std::size_t parameter = parameters_.offset(map.parameter);
      for (std::size_t i = 0; i < places.size(); ++i) {
        from.push_back(static_cast<uint32_t>(parameter + map.element[i]));
        to.push_back(static_cast<uint32_t>(base + places[i]));
      }
    };
    for (const plan::WeightMap& map : weights.maps) {
      add(map, first, map.forward);
      add(map, first + weights.forward_size, map.backward);
    }
    first += group->packed_floats();
  }
  pack_from_ = layout.constant(from);
  pack_to_ = layout.constant(to);
  pack_size_ = from.size();
}

const float* GpuNetwork::scores() const {
  return arena_ + plan_.stored[static_cast<std::size_t>(plan_.scores)].offset;
}

void GpuNetwork::clear(const Stream& stream) {
  parameters_.clear(stream);
  norms_.clear(stream);
  check(cudaMemsetAsync(packed_, 0, packed_floats_ * sizeof(float), stream.get()),
        "clearing weights");
  check(cudaMemsetAsync(step_.metrics, 0, sizeof(MetricSums), stream.get()), "clearing metrics");
}

void GpuNetwork::pack_weights(const Launch& launch) const {
  cudnn::pack_weights(launch, parameters_.all_values(), pack_from_, pack_to_, pack_size_, packed_);
}

double* GpuNetwork::norm_partials() const { return reinterpret_cast<double*>(workspace_.partials); }

void GpuNetwork::forward(const Launch& launch, bool training) const {
  norms_.prepare(launch, training);
  for (const auto& group : groups_) {
    if (!training && !group->group().scores) continue;
    group->forward(launch, training);
    if (training && group->norm() >= 0) {
      norms_.finish_statistics(launch, group->norm(), group->out().data, norm_partials());
    }
  }
}

void GpuNetwork::backward(const Launch& launch) const {
  for (auto group = groups_.rbegin(); group != groups_.rend(); ++group) {
    const int norm = (*group)->norm();
    if (norm >= 0 && plan_.norms[static_cast<std::size_t>(norm)].has_gradient) {
      norms_.backward(launch, norm, (*group)->out(), *views_, norm_partials());
    }
    if ((*group)->group().backward) (*group)->backward(launch);
  }
}

}  // namespace renas::cudnn
