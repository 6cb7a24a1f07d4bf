#include "backend/cpu/fused_group.h"

#include <fmt/format.h>

namespace renas::cpu {

FusedGroup::FusedGroup(const Lowering& lowering, const plan::Group& group)
    : node_(lowering.graph.node(group.node)),
      group_(group),
      training_(lowering.options.training),
      parameters_(lowering.parameters) {
  if (group.out < 0) return;
  out_ = lowering.views.output(group.out);
  norm_ = lowering.views.norm_of(group.out);
}

std::size_t FusedGroup::packed_floats() const {
  return aligned(weights_.forward_size) + aligned(training_ ? weights_.backward_size : 0) +
         aligned(bf16_floats());
}

void FusedGroup::place_weights(float* packed) {
  if (weights_.maps.empty()) return;
  packed_ = packed;
  const float* backward = packed + aligned(weights_.forward_size);
  bind_weights(packed, backward, backward + aligned(training_ ? weights_.backward_size : 0));
}

void FusedGroup::pack_weights() const {
  if (weights_.maps.empty()) return;
  float* forward = packed_;
  float* backward = packed_ + aligned(weights_.forward_size);
  for (const plan::WeightMap& map : weights_.maps) {
    const float* weight = parameters_.values(map.parameter);
    for (std::size_t i = 0; i < map.element.size(); ++i) {
      forward[map.forward[i]] = weight[map.element[i]];
      if (training_) backward[map.backward[i]] = weight[map.element[i]];
    }
  }
  pack_bf16(backward + aligned(training_ ? weights_.backward_size : 0));
}

void FusedGroup::run_forward(const ImageRange& range, const StepContext& step, float* scratch,
                             float* sums) {
  const bool itself = takes_statistics();
  forward(range, step, scratch, itself ? sums : nullptr);
  if (!itself && sums != nullptr) statistics(out_, range.first, range.last, sums);
}

plan::GroupWork FusedGroup::work() const {
  plan::GroupWork work;
  work.out = out_;
  work.has_weights = !weights_.maps.empty();
  work.backward = group_.backward;
  for (const plan::WeightMap& map : weights_.maps) {
    work.mult_adds +=
        static_cast<double>(map.element.size()) * static_cast<double>(out_.map.pixels());
  }
  add_work(work);
  return work;
}

std::string FusedGroup::describe() const {
  int channels = 0;
  for (const InputView& in : work().inputs) channels += in.map.channels;
  const Shape& shape = node_.shape;
  return fmt::format("{} {}>{} {}x{}", label(), channels, shape.channels, shape.height,
                     shape.width);
}

void FusedGroup::reserve_partials(const Lowering& lowering, const std::vector<InputView*>& inputs) {
  partial_floats_ = aligned(weights_.forward_size);
  for (std::size_t k = 0; k < group_.parts.size(); ++k) {
    const plan::Part& part = group_.parts[k];
    if (!part.sums) continue;
    const int norm = lowering.plan.values[part.value].norm;
    inputs[k]->mean = lowering.views.coefficients(norm).mean;
    inputs[k]->sums = partial_floats_;
    norm_sums_.push_back({norm, partial_floats_});
    partial_floats_ += aligned(std::size_t{2} * inputs[k]->map.channels);
  }
}

std::vector<InputView> FusedGroup::inputs(const Lowering& lowering) const {
  std::vector<InputView> views;
  for (const plan::Part& part : group_.parts) views.push_back(lowering.views.input(part));
  return views;
}

ConcatArgs FusedGroup::concat_args(const Lowering& lowering) const {
  ConcatArgs args;
  args.in = inputs(lowering);
  for (const plan::Part& part : group_.parts) {
    args.channels.push_back(lowering.views.channels(part));
    args.shifted.push_back(part.shifted ? 1 : 0);
  }
  args.out = out_;
  return args;
}

std::string to_string(const WindowArgs& window) {
  const int rows = window.stride_height;
  const int columns = window.stride_width;
  const std::string stride = rows != columns ? fmt::format("/{}x{}", rows, columns)
                             : rows == 1     ? ""
                                             : fmt::format("/{}", rows);
  const std::string rate = window.dilation > 1 ? fmt::format(" rate {}", window.dilation) : "";
  return fmt::format(" {}x{}{}{}", window.height, window.width, stride, rate);
}

}  // namespace renas::cpu
