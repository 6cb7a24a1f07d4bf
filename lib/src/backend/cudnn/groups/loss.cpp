#include "backend/cudnn/groups/groups.h"

namespace renas::cudnn {

namespace {

/// Softmax and cross-entropy with label smoothing. It stores no map: forward() adds to the metrics,
/// and backward() computes the softmax again.
class LossGroup final : public FusedGroup {
 public:
  using FusedGroup::FusedGroup;

  void bind(const Binding& binding) override {
    FusedGroup::bind(binding);
    metrics_ = binding.step.metrics;
    const std::vector<float>& weights = node_.class_weights;
    args_ = {input(binding, 0),
             binding.step.labels,
             binding.views.channels(group_.parts[0]),
             node_.loss_weight,
             node_.label_smoothing,
             weights.empty() ? nullptr : binding.layout.constant(weights),
             binding.step.losses};
  }
  void forward(const Launch& launch, bool training) const override {
    if (training && !node_.auxiliary) loss_forward(launch, args_, metrics_);
  }
  void backward(const Launch& launch) const override {
    if (args_.in.gradient) loss_backward(launch, args_);
  }

 private:
  LossArgs args_;
  MetricSums* metrics_ = nullptr;
};

}  // namespace

std::unique_ptr<FusedGroup> make_loss(const Lowering& lowering, const plan::Group& group) {
  return std::make_unique<LossGroup>(lowering, group);
}

}  // namespace renas::cudnn
