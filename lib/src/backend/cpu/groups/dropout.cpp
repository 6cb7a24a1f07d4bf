#include "backend/cpu/groups/groups.h"
#include "backend/mask.h"

namespace renas::cpu {

namespace {

/// Dropout, which drops single numbers, and drop path, which drops whole images. Masks are
/// functions of the step (see mask_factor), so the backward pass computes them again.
class DropoutGroup final : public FusedGroup {
 public:
  DropoutGroup(const Lowering& lowering, const plan::Group& group)
      : FusedGroup(lowering, group), in_(lowering.views.input(group.parts[0])) {}

  void backward(const ImageRange& range, const StepContext& step, float*, float*) override {
    if (!in_.gradient) return;
    for_each_number(range, step, [&](std::size_t at, float value, float factor) {
      const float gradient = in_.relu && !(value > 0) ? 0.0F : out_.gradient.get(at) * factor;
      in_.gradient.set(at, in_.accumulate ? in_.gradient.get(at) + gradient : gradient);
    });
  }

 protected:
  void forward(const ImageRange& range, const StepContext& step, float*, float*) override {
    for_each_number(range, step, [&](std::size_t at, float value, float factor) {
      out_.data.set(at, value * factor);
    });
  }
  void add_work(plan::GroupWork& work) const override { work.inputs.push_back(in_); }

 private:
  /// Calls visit(offset, activated input, factor of the mask) for every number, padding included.
  template <class Visit>
  void for_each_number(const ImageRange& range, const StepContext& step, const Visit& visit) const {
    const bool path = node_.kind == NodeKind::kDropPath;
    const float probability = path ? node_.probability * step.scalars.drop_path : node_.probability;
    const std::size_t pixels = in_.map.pixels();
    for (int n = range.first; n < range.last; ++n) {
      const auto image = static_cast<uint64_t>(n);
      for (std::size_t p = 0; p < pixels; ++p) {
        for (int c = 0; c < in_.map.channels; ++c) {
          const std::size_t at = (n * pixels + p) * in_.map.channels + c;
          const uint64_t element = path ? image
                                        : image * static_cast<uint64_t>(node_.shape.size()) +
                                              static_cast<uint64_t>(c) * pixels + p;
          float factor = c < node_.shape.channels ? 1.0F : 0.0F;
          if (step.training && c < node_.shape.channels) {
            factor = mask_factor(step.scalars.seed, step.scalars.step, group_.node, element,
                                 probability);
          }
          float value = in_.data.get(at);
          if (in_.scale != nullptr) value = value * in_.scale[c] + in_.shift[c];
          if (in_.relu && value < 0) value = 0;
          visit(at, value, factor);
        }
      }
    }
  }

  InputView in_;
};

}  // namespace

std::unique_ptr<FusedGroup> make_dropout(const Lowering& lowering, const plan::Group& group) {
  return std::make_unique<DropoutGroup>(lowering, group);
}

}  // namespace renas::cpu
