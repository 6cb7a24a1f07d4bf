#include "backend/cpu/groups/groups.h"

namespace renas::cpu {

namespace {

/// The images: copied from [H, W, C] to a map of padded channels.
class InputGroup final : public FusedGroup {
 public:
  using FusedGroup::FusedGroup;

  void backward(const ImageRange&, const StepContext&, float*, float*) override {}

 protected:
  void forward(const ImageRange& range, const StepContext& step, float*, float*) override {
    const Shape& shape = node_.shape;
    const std::size_t pixels = out_.map.pixels();
    for (int n = range.first; n < range.last; ++n) {
      const float* from = step.images + static_cast<std::size_t>(n * shape.size());
      float* to = out_.data.as<float>() + n * out_.map.size();
      for (std::size_t p = 0; p < pixels; ++p, from += shape.channels) {
        for (int c = 0; c < out_.map.channels; ++c) *to++ = c < shape.channels ? from[c] : 0.0F;
      }
    }
  }
  void add_work(plan::GroupWork&) const override {}
};

}  // namespace

std::unique_ptr<FusedGroup> make_input(const Lowering& lowering, const plan::Group& group) {
  return std::make_unique<InputGroup>(lowering, group);
}

}  // namespace renas::cpu
