#include "backend/cudnn/groups/groups.h"

namespace renas::cudnn {

namespace {

/// A view that a reader needs as a map in memory: a concatenation, batch norm, ReLU or pixel shift.
class MaterialiseGroup final : public FusedGroup {
 public:
  using FusedGroup::FusedGroup;

  void bind(const Binding& binding) override {
    FusedGroup::bind(binding);
    args_ = bind_concat(binding);
  }
  void forward(const Launch& launch, bool) const override { concat_forward(launch, args_); }
  void backward(const Launch& launch) const override {
    for (const PartArgs& part : parts_) {
      if (part.in.gradient) concat_backward(launch, part, out_);
    }
  }

 private:
  ConcatArgs args_;
};

}  // namespace

std::unique_ptr<FusedGroup> make_materialise(const Lowering& lowering, const plan::Group& group) {
  return std::make_unique<MaterialiseGroup>(lowering, group);
}

}  // namespace renas::cudnn
