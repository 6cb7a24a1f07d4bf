#include "backend/cudnn/groups/groups.h"

namespace renas::cudnn {

namespace {

/// Dropout, which drops single numbers, and drop path, which drops whole images. Masks are
/// functions of the step (see mask_factor), so the backward pass computes them again.
class DropoutGroup final : public FusedGroup {
 public:
  using FusedGroup::FusedGroup;

  void bind(const Binding& binding) override {
    FusedGroup::bind(binding);
    args_ = {input(binding, 0), out_,
             group_.node,       node_.shape.channels,
             node_.probability, node_.kind == NodeKind::kDropPath};
  }
  void forward(const Launch& launch, bool training) const override {
    dropout_forward(launch, args_, training);
  }
  void backward(const Launch& launch) const override {
    if (args_.in.gradient) dropout_backward(launch, args_);
  }

 private:
  DropoutArgs args_;
};

}  // namespace

std::unique_ptr<FusedGroup> make_dropout(const Lowering& lowering, const plan::Group& group) {
  return std::make_unique<DropoutGroup>(lowering, group);
}

}  // namespace renas::cudnn
