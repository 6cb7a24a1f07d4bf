#include "backend/cudnn/groups/forward_product.h"
#include "backend/cudnn/groups/groups.h"
#include "backend/cudnn/slice_count.h"

namespace renas::cudnn {

namespace {

/// A depthwise convolution and, mostly, the 1x1 convolution behind it. The map between the two
/// lives in scratch memory; the backward pass computes it again.
class SeparableGroup final : public FusedGroup {
 public:
  SeparableGroup(const Lowering& lowering, const plan::Group& group)
      : FusedGroup(lowering, group),
        depthwise_(lowering.graph.node(group.depthwise)),
        product_(lowering, stored(group.out).map) {
    const plan::Stored& in =
        stored(plan_.values[static_cast<std::size_t>(group.parts[0].value)].stored);
    const plan::Stored& out = stored(group.out);
    middle_map_ = {out.map.height, out.map.width, in.map.channels};
    middle_is_bf16_ = out.is_bf16;
    rows_.window = plan::window_of(depthwise_, {});
    plan::append_depthwise(depthwise_, in.map.channels, in.map.channels, weights_);
    depthwise_size_ = weights_.forward_size;
    if (group.pointwise < 0) return;
    term_.depth = in.map.channels;
    term_.last_column = out.map.channels;
    plan::append_pointwise(lowering.graph.node(group.pointwise), depthwise_.shape.channels,
                           in.map.channels, out.map.channels, weights_);
  }

  void reserve(Workspace& workspace) const override {
    if (has_pointwise()) {
      product_.reserve(workspace);
      const std::size_t numbers = static_cast<std::size_t>(batch_) * middle_map_.size();
      workspace.needs_scratch(0, numbers * (middle_is_bf16_ ? 2 : 4));
      if (training_) workspace.needs_scratch(1, numbers * (middle_is_bf16_ ? 2 : 4));
    }
    if (!training_) return;
    workspace.needs_partials(static_cast<std::size_t>(slices(depthwise_size_)) * depthwise_size_);
    workspace.needs_partials(static_cast<std::size_t>(slices(pointwise_size())) * pointwise_size());
  }

  void bind(const Binding& binding) override {
    FusedGroup::bind(binding);
    partials_ = binding.workspace.partials;
    gradients_ = binding.parameters.all_gradients();
    rows_.in = input(binding, 0);
    rows_.weight = binding.packed;
    if (training_) depthwise_map_ = bind_gradients(binding, 0, 0, depthwise_size_);
    if (!has_pointwise()) {
      rows_.out = out_;
      return;
    }
    rows_.out.map = middle_map_;
    rows_.out.data = {binding.workspace.scratch[0], middle_is_bf16_};
    rows_.out.gradient = {binding.workspace.scratch[1], middle_is_bf16_};
    term_.in.map = middle_map_;
    term_.in.data = rows_.out.data;
    term_.in.gradient = rows_.out.gradient;
    term_.weight = binding.packed + depthwise_size_;
    term_.weight_transposed = binding.packed + weights_.forward_size + depthwise_size_;
    product_.bind(binding, {term_}, nullptr, node_.shape.channels, out_);
    if (training_) {
      pointwise_map_ = bind_gradients(binding, 1, depthwise_size_, pointwise_size());
    }
  }

  int statistics_slices() const override { return product_.statistics_slices(); }

  void forward(const Launch& launch, bool training) const override {
    depthwise_forward(launch, rows_);
    if (has_pointwise()) product_.forward(launch, training);
  }

  void backward(const Launch& launch) const override {
    if (has_pointwise()) {
      depthwise_forward(launch, rows_);
      product_weight_gradient(launch, term_, out_, slices(pointwise_size()), partials_);
      add_gradients(launch, pointwise_map_, slices(pointwise_size()), partials_, gradients_);
      product_data_gradient(launch, term_, out_);
    }
    if (rows_.in.gradient) depthwise_data_gradient(launch, rows_);
    depthwise_weight_gradient(launch, rows_, slices(depthwise_size_), partials_);
    add_gradients(launch, depthwise_map_, slices(depthwise_size_), partials_, gradients_);
  }

 private:
  const plan::Stored& stored(int i) const { return plan_.stored[static_cast<std::size_t>(i)]; }
  bool has_pointwise() const { return group_.pointwise >= 0; }
  std::size_t pointwise_size() const { return weights_.forward_size - depthwise_size_; }
  int slices(std::size_t size) const {
    return slices_for(static_cast<std::size_t>(batch_) * middle_map_.pixels(), size);
  }

  const Node& depthwise_;
  Map middle_map_;
  bool middle_is_bf16_ = false;
  std::size_t depthwise_size_ = 0;  // of its packed weights, in floats
  DepthwiseArgs rows_;
  TermArgs term_;
  ForwardProduct product_;
  GradientMap depthwise_map_;
  GradientMap pointwise_map_;
  float* partials_ = nullptr;
  float* gradients_ = nullptr;
};

}  // namespace

std::unique_ptr<FusedGroup> make_separable(const Lowering& lowering, const plan::Group& group) {
  return std::make_unique<SeparableGroup>(lowering, group);
}

}  // namespace renas::cudnn
