#include <algorithm>
#include <span>

#include "backend/contract.h"
#include "backend/cpu/groups/groups.h"

namespace renas::cpu {

namespace {

/// Softmax and cross-entropy of pixels. It stores no map, and takes loss and gradient in one pass,
/// in backward(): a step of training always has both.
class PixelLossGroup final : public FusedGroup {
 public:
  PixelLossGroup(const Lowering& lowering, const plan::Group& group)
      : FusedGroup(lowering, group),
        in_(lowering.views.input(group.parts[0])),
        classes_(lowering.views.channels(group.parts[0])),
        sums_(static_cast<std::size_t>(lowering.options.batch)) {}

  void backward(const ImageRange& range, const StepContext& step, float*, float*) override {
    const std::size_t pixels = in_.map.pixels();
    const std::span<const int32_t> labels(step.labels, step.count * pixels);
    const auto counted = std::max<int64_t>(1, contract::counted_labels(labels, std::ssize(labels)));
    for (int n = range.first; n < range.last; ++n) {
      const std::size_t at = n * in_.map.size();
      PixelLossArgs args;
      args.scores = in_.data.as<float>() + at;
      args.gradient = in_.gradient ? in_.gradient.as<float>() + at : nullptr;
      args.accumulate = in_.accumulate;
      args.labels = step.labels + n * pixels;
      args.pixels = pixels;
      args.channels = in_.map.channels;
      args.classes = classes_;
      args.smoothing = node_.label_smoothing;
      args.class_weights = node_.class_weights.empty() ? nullptr : node_.class_weights.data();
      args.gradient_factor = static_cast<float>(node_.loss_weight / static_cast<double>(counted));
      sums_[static_cast<std::size_t>(n)] = pixel_loss(args);
    }
  }

  void finish_backward(const StepContext& step) override {
    if (node_.auxiliary) return;
    for (int n = 0; n < step.count; ++n) {
      const PixelLossSums& sums = sums_[static_cast<std::size_t>(n)];
      step.metrics->loss += sums.loss;
      step.metrics->correct += sums.correct;
      step.metrics->count += sums.count;
    }
  }

 protected:
  void forward(const ImageRange&, const StepContext&, float*, float*) override {}
  void add_work(plan::GroupWork& work) const override { work.inputs.push_back(in_); }

 private:
  InputView in_;
  int classes_;
  std::vector<PixelLossSums> sums_;  // by image, so that they are added in a fixed order
};

}  // namespace

std::unique_ptr<FusedGroup> make_pixel_loss(const Lowering& lowering, const plan::Group& group) {
  return std::make_unique<PixelLossGroup>(lowering, group);
}

}  // namespace renas::cpu
