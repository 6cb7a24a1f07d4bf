#include <algorithm>

#include "backend/contract.h"
#include "backend/cudnn/program.h"

namespace renas::cudnn {

namespace {

plan::PlanOptions plan_options(const ProgramOptions& options, int streams) {
  // With four streams a step of a search network is 2.8 times as short as with one, counted in
  // groups; without a rest 2.2 times. It costs 2 % of the arena.
  constexpr int kRest = 8;
  plan::PlanOptions o;
  o.training = options.training;
  o.batch = options.batch;
  o.precision = options.precision;
  o.alignment = 64;  // floats
  o.rest = streams > 1 ? kRest : 0;
  return o;
}

/// Checks before anything is planned.
const Graph& checked(const Graph& graph, const ProgramOptions& options) {
  contract::check_program(graph, options);
  return graph;
}

}  // namespace

GpuNetwork::GpuNetwork(const Graph& graph, const ProgramOptions& options, int streams,
                       PlanCache* plans)
    : graph_(checked(graph, options)),
      options_(options),
      plan_(plan::make_plan(graph_, plan_options(options, streams))),
      parameters_(graph_, options_),
      norms_(graph_, plan_, options.batch, options.frozen_statistics),
      stream_of_group_(plan::assign_streams(plan_, options.batch, streams)) {
  for (const bool training : {false, true}) {
    if (training && !options.training) continue;
    schedules_[training ? 1 : 0] =
        plan::make_schedule(plan_, options.batch, training, stream_of_group_);
  }
  workspaces_.resize(static_cast<std::size_t>(
                         *std::max_element(stream_of_group_.begin(), stream_of_group_.end())) +
                     1);
  for (std::size_t i = 0; i < plan_.groups.size(); ++i) {
    groups_.push_back(make_group({graph_, plan_, options_, plans}, plan_.groups[i]));
    groups_.back()->reserve(workspaces_[static_cast<std::size_t>(stream_of_group_[i])]);
    packed_floats_ += groups_.back()->packed_floats();
  }
  for (Workspace& workspace : workspaces_) {
    workspace.needs_partials(2 * norms_.partial_doubles());
  }
}

void GpuNetwork::bind(Layout& layout) {
  const auto batch = static_cast<std::size_t>(options_.batch);
  arena_ = layout.take<float>(plan_.arena);
  parameters_.bind(layout);
  norms_.bind(layout, parameters_);
  packed_ = layout.take<float>(packed_floats_);
  for (Workspace& w : workspaces_) {
    w.partials = layout.take<float>(w.partial_floats);
    for (int i : {0, 1}) w.scratch[i] = layout.take<std::byte>(w.scratch_bytes[i]);
    w.cudnn = layout.take<std::byte>(w.cudnn_bytes);
  }
  state_ = layout.take<StepState>(1);
  for (const Node& node : graph_.nodes()) {
    if (node.kind != NodeKind::kInput) continue;
    images_ = layout.take<float>(static_cast<std::size_t>(node.shape.size()) * batch);
  }
  labels_ = layout.take<int32_t>(batch * contract::labels_per_image(graph_));
  step_ = {images_, labels_, layout.take<MetricSums>(kLossBlocks), layout.take<MetricSums>(1)};
  views_.emplace(plan_, arena_, norms_.coefficients());
  float* packed = packed_;
  for (std::size_t i = 0; i < groups_.size(); ++i) {
    const Workspace& workspace = workspaces_[static_cast<std::size_t>(stream_of_group_[i])];
    groups_[i]->bind({layout, *views_, parameters_, workspace, step_, packed});
    packed += groups_[i]->packed_floats();
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

StepStreams GpuNetwork::make_streams() const {
  return {static_cast<int>(workspaces_.size()),
          std::max(schedules_[0].events, schedules_[1].events)};
}

void GpuNetwork::run(Launch launch, const StepStreams& streams, bool training) const {
  const plan::Schedule& schedule = schedules_[training ? 1 : 0];
  norms_.prepare(launch, training);
  streams.begun.record(streams.first());
  for (std::size_t s = 1; s < schedule.last.size(); ++s) {
    if (schedule.last[s] >= 0) streams.begun.hold(streams.streams[s]);
  }
  const auto ended = [&](int task) -> const Event& {
    const int event = schedule.tasks[static_cast<std::size_t>(task)].event;
    return streams.ended[static_cast<std::size_t>(event)];
  };
  for (const plan::Task& task : schedule.tasks) {
    const auto s = static_cast<std::size_t>(task.stream);
    const Stream& stream = streams.streams[s];
    for (const int earlier : task.waits) ended(earlier).hold(stream);
    launch.stream = stream.get();
    const FusedGroup& group = *groups_[static_cast<std::size_t>(task.group)];
    if (task.backward) {
      backward(group, launch, workspaces_[s]);
    } else {
      forward(group, launch, workspaces_[s], training);
    }
    if (task.event >= 0) streams.ended[static_cast<std::size_t>(task.event)].record(stream);
  }
  for (std::size_t s = 1; s < schedule.last.size(); ++s) {
    if (schedule.last[s] >= 0) ended(schedule.last[s]).hold(streams.first());
  }
}

void GpuNetwork::forward(const FusedGroup& group, const Launch& launch, const Workspace& workspace,
                         bool training) const {
  group.forward(launch, training);
  if (training && group.norm() >= 0) {
    norms_.finish_statistics(launch, group.norm(), group.out().data, group.statistics_slices(),
                             workspace.norm_partials());
  }
}

void GpuNetwork::backward(const FusedGroup& group, const Launch& launch,
                          const Workspace& workspace) const {
  const int norm = group.norm();
  if (norm >= 0 && plan_.norms[static_cast<std::size_t>(norm)].has_gradient) {
    norms_.backward(launch, norm, group.out(), *views_, workspace.norm_partials());
  }
  if (group.group().backward) group.backward(launch);
}

}  // namespace renas::cudnn
