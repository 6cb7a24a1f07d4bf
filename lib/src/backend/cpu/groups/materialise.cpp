#include "backend/cpu/groups/groups.h"

namespace renas::cpu {

namespace {

/// A view that a reader needs as a map in memory: a concatenation, batch norm, ReLU or pixel shift.
class MaterialiseGroup final : public FusedGroup {
 public:
  MaterialiseGroup(const Lowering& lowering, const plan::Group& group)
      : FusedGroup(lowering, group), args_(concat_args(lowering)) {}

  void backward(const ImageRange& range, const StepContext&, float*, float*) override {
    materialise_backward(args_, range.first, range.last);
  }

 protected:
  void forward(const ImageRange& range, const StepContext&, float*, float*) override {
    materialise_forward(args_, range.first, range.last);
  }
  void add_work(plan::GroupWork& work) const override { work.inputs = args_.in; }

 private:
  ConcatArgs args_;
};

}  // namespace

std::unique_ptr<FusedGroup> make_materialise(const Lowering& lowering, const plan::Group& group) {
  return std::make_unique<MaterialiseGroup>(lowering, group);
}

}  // namespace renas::cpu
