#include <algorithm>
#include <cmath>

#include "backend/contract.h"
#include "backend/cpu/groups/groups.h"

namespace renas::cpu {

namespace {

/// The logarithm of the sum of exponentials.
double log_sum_exp(const float* scores, int classes) {
  const double top = *std::max_element(scores, scores + classes);
  double total = 0;
  for (int k = 0; k < classes; ++k) total += std::exp(scores[k] - top);
  return std::log(total) + top;
}

/// Softmax and cross-entropy with label smoothing, of images. It stores no map: forward() adds to
/// the metrics, and backward() computes the softmax again.
class LossGroup final : public FusedGroup {
 public:
  LossGroup(const Lowering& lowering, const plan::Group& group)
      : FusedGroup(lowering, group),
        in_(lowering.views.input(group.parts[0])),
        classes_(lowering.views.channels(group.parts[0])) {}

  bool on_whole_batch() const override { return true; }

  void backward(const ImageRange&, const StepContext& step, float*, float*) override {
    if (!in_.gradient) return;
    const int64_t counted = counted_labels(step);
    for (int n = 0; n < step.count; ++n) {
      const std::size_t at = n * in_.map.size();
      const float* scores = in_.data.as<float>() + at;
      const double total = log_sum_exp(scores, classes_);
      const bool counts = step.labels[n] != kIgnored;
      const double weight = counts ? contract::class_weight(node_, step.labels[n]) : 0;
      for (int k = 0; k < in_.map.channels; ++k) {
        double gradient = 0;
        if (counts && k < classes_) {
          gradient = weight * (std::exp(scores[k] - total) - target(k, step.labels[n]));
        }
        const auto g =
            static_cast<float>(gradient * node_.loss_weight / static_cast<double>(counted));
        float& to = in_.gradient.as<float>()[at + k];
        to = in_.accumulate ? to + g : g;
      }
    }
  }

 protected:
  void forward(const ImageRange&, const StepContext& step, float*, float*) override {
    if (!step.training || node_.auxiliary) return;
    for (int n = 0; n < step.count; ++n) {
      const float* scores = in_.data.as<float>() + n * in_.map.size();
      const int label = step.labels[n];
      if (label == kIgnored) continue;
      const double total = log_sum_exp(scores, classes_);
      const double weight = contract::class_weight(node_, label);
      for (int k = 0; k < classes_; ++k) {
        step.metrics->loss -= weight * target(k, label) * (scores[k] - total);
      }
      step.metrics->correct += contract::correct(scores, classes_, label) ? 1 : 0;
    }
    step.metrics->count +=
        contract::counted_labels({step.labels, static_cast<std::size_t>(step.count)}, step.count);
  }
  void add_work(plan::GroupWork& work) const override { work.inputs.push_back(in_); }

 private:
  /// At least 1, so that a batch without labels that count can be divided by it.
  static int64_t counted_labels(const StepContext& step) {
    const std::span<const int32_t> labels(step.labels, static_cast<std::size_t>(step.count));
    return std::max<int64_t>(1, contract::counted_labels(labels, step.count));
  }
  /// The probability that class k should have.
  double target(int k, int label) const {
    const double smoothing{node_.label_smoothing};
    return smoothing / classes_ + (k == label ? 1 - smoothing : 0);
  }

  InputView in_;
  int classes_;
};

}  // namespace

std::unique_ptr<FusedGroup> make_loss(const Lowering& lowering, const plan::Group& group) {
  return std::make_unique<LossGroup>(lowering, group);
}

}  // namespace renas::cpu
