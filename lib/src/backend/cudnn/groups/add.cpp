#include "backend/cudnn/groups/groups.h"

namespace renas::cudnn {

namespace {

/// The sum of several maps. Summands that nobody else reads share the sum's gradient (see
/// Value::alias); backward() copies it for the others.
class AddGroup final : public FusedGroup {
 public:
  using FusedGroup::FusedGroup;

  void bind(const Binding& binding) override {
    FusedGroup::bind(binding);
    in_.clear();
    for (std::size_t k = 0; k < group_.parts.size(); ++k) in_.push_back(input(binding, k));
    args_ = {binding.layout.constant(in_), static_cast<int>(in_.size()), out_};
  }
  void forward(const Launch& launch, bool) const override { add_forward(launch, args_); }
  void backward(const Launch& launch) const override {
    for (const InputView& in : in_) {
      if (in.gradient) add_backward(launch, in, out_);
    }
  }

 private:
  std::vector<InputView> in_;
  AddArgs args_;
};

}  // namespace

std::unique_ptr<FusedGroup> make_add(const Lowering& lowering, const plan::Group& group) {
  return std::make_unique<AddGroup>(lowering, group);
}

}  // namespace renas::cudnn
