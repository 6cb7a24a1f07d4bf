#include "backend/cpu/groups/groups.h"

namespace renas::cpu {

namespace {

/// The sum of several maps. Summands that nobody else reads share the sum's gradient (see
/// Value::alias); backward() copies it for the others.
class AddGroup final : public FusedGroup {
 public:
  AddGroup(const Lowering& lowering, const plan::Group& group)
      : FusedGroup(lowering, group), args_{inputs(lowering), out_} {}

  void backward(const ImageRange& range, const StepContext&, float*, float*) override {
    for (const InputView& in : args_.in) {
      if (in.gradient) store_gradient_map(in, out_.gradient, range.first, range.last);
    }
  }

 protected:
  void forward(const ImageRange& range, const StepContext&, float*, float*) override {
    add_forward(args_, range.first, range.last);
  }
  void add_work(plan::GroupWork& work) const override {
    work.inputs = args_.in;
    work.mult_adds = static_cast<double>(args_.in.size()) * static_cast<double>(node_.shape.size());
  }

 private:
  AddArgs args_;
};

}  // namespace

std::unique_ptr<FusedGroup> make_add(const Lowering& lowering, const plan::Group& group) {
  return std::make_unique<AddGroup>(lowering, group);
}

}  // namespace renas::cpu
