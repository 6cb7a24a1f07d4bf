#include "backend/cudnn/groups/bias.h"

#include "backend/cudnn/slice_count.h"

namespace renas::cudnn {

Bias::Bias(const Node& node, const Map& out, int batch) : channels_(node.shape.channels) {
  const bool is_layer = node.kind == NodeKind::kConv || node.kind == NodeKind::kLinear;
  if (!is_layer || node.parameters.size() < 2) return;
  parameter_ = node.parameters[1];
  const auto floats = 2 * static_cast<std::size_t>(out.channels);  // of a slice's doubles
  slices_ = slices_for(static_cast<std::size_t>(batch) * out.pixels(), floats);
  partial_floats_ = static_cast<std::size_t>(slices_) * floats;
}

void Bias::reserve(Workspace& workspace) const { workspace.needs_partials(partial_floats_); }

void Bias::bind(const Binding& binding) {
  if (parameter_ < 0) return;
  values_ = binding.parameters.values(parameter_);
  partials_ = reinterpret_cast<double*>(binding.workspace.partials);
  if (binding.parameters.all_gradients() == nullptr) return;
  gradient_ = binding.parameters.gradient(parameter_);
}

void Bias::add(const Launch& launch, const OutputMap& out) const {
  if (parameter_ >= 0) add_bias(launch, out, values_, channels_);
}

void Bias::backward(const Launch& launch, const OutputMap& out) const {
  if (parameter_ >= 0) bias_gradient(launch, out, channels_, slices_, partials_, gradient_);
}

}  // namespace renas::cudnn
