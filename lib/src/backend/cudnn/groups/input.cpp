#include "backend/cudnn/groups/groups.h"

namespace renas::cudnn {

namespace {

/// The images: copied from [H, W, C] to a map of padded channels.
class InputGroup final : public FusedGroup {
 public:
  using FusedGroup::FusedGroup;

  void bind(const Binding& binding) override {
    FusedGroup::bind(binding);
    images_ = binding.step.images;
  }
  void forward(const Launch& launch, bool) const override {
    copy_images(launch, images_, node_.shape.channels, out_);
  }
  void backward(const Launch&) const override {}

 private:
  const float* images_ = nullptr;
};

}  // namespace

std::unique_ptr<FusedGroup> make_input(const Lowering& lowering, const plan::Group& group) {
  return std::make_unique<InputGroup>(lowering, group);
}

}  // namespace renas::cudnn
