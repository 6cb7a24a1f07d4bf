#include "backend/cudnn/fused_group.h"

#include "backend/cudnn/groups/groups.h"

namespace renas::cudnn {

FusedGroup::FusedGroup(const Lowering& lowering, const plan::Group& group)
    : node_(lowering.graph.node(group.node)),
      plan_(lowering.plan),
      group_(group),
      batch_(lowering.options.batch),
      training_(lowering.options.training) {}

void FusedGroup::bind(const Binding& binding) {
  if (group_.out < 0) return;
  out_ = binding.views.output(group_.out);
  norm_ = binding.views.norm_of(group_.out);
}

ConcatArgs FusedGroup::bind_concat(const Binding& binding) {
  parts_.clear();
  int first = 0;
  for (std::size_t k = 0; k < group_.parts.size(); ++k) {
    PartArgs part;
    part.in = input(binding, k);
    part.channels = binding.views.channels(group_.parts[k]);
    part.first = first;
    part.shifted = group_.parts[k].shifted;
    first += part.channels;
    parts_.push_back(part);
  }
  return {binding.layout.constant(parts_), static_cast<int>(parts_.size()), out_};
}

namespace {

GradientMap gradient_map(const Binding& binding, const plan::WeightMap& map,
                         std::vector<uint32_t> from, std::size_t first, std::size_t size) {
  const auto parameter = static_cast<uint32_t>(binding.parameters.offset(map.parameter));
  std::vector<uint32_t> to = map.element;
  for (uint32_t& f : from) f -= static_cast<uint32_t>(first);
  for (uint32_t& t : to) t += parameter;
  GradientMap gradients;
  gradients.from = binding.layout.constant(from);
  gradients.to = binding.layout.constant(to);
  gradients.size = from.size();
  gradients.stride = size;
  return gradients;
}

}  // namespace

GradientMap FusedGroup::bind_gradients(const Binding& binding, std::size_t i, std::size_t first,
                                       std::size_t size) const {
  return gradient_map(binding, weights_.maps[i], weights_.maps[i].forward, first, size);
}

GradientMap FusedGroup::bind_transposed_gradients(const Binding& binding, std::size_t i) const {
  return gradient_map(binding, weights_.maps[i], weights_.maps[i].backward, 0,
                      weights_.backward_size);
}

void FusedGroup::add_gradients(const Launch& launch, const GradientMap& map, int slices,
                               const float* partials, float* gradients) {
  add_weight_gradients(launch, partials, map.stride, slices, map.from, map.to, map.size, gradients);
}

std::unique_ptr<FusedGroup> make_group(const Lowering& lowering, const plan::Group& group) {
  using Kind = plan::Group::Kind;
  switch (group.kind) {
    case Kind::kInput:
      return make_input(lowering, group);
    case Kind::kConv:
      return is_for_cudnn(lowering, group) ? make_dense_conv(lowering, group)
                                           : make_conv(lowering, group);
    case Kind::kSeparable:
      return make_separable(lowering, group);
    case Kind::kPool:
      return make_pool(lowering, group);
    case Kind::kAdd:
      return make_add(lowering, group);
    case Kind::kMaterialise:
      return make_materialise(lowering, group);
    case Kind::kGlobalAverage:
      return make_global_average(lowering, group);
    case Kind::kDropout:
      return make_dropout(lowering, group);
    case Kind::kResize:
      return make_resize(lowering, group);
    case Kind::kSelectChannels:
      return make_select_channels(lowering, group);
    case Kind::kLoss:
      return make_loss(lowering, group);
  }
  return nullptr;
}

}  // namespace renas::cudnn
