#include "backend/cudnn/groups/groups.h"

namespace renas::cudnn {

namespace {

/// A maximum or average pool.
class PoolGroup final : public FusedGroup {
 public:
  using FusedGroup::FusedGroup;

  void bind(const Binding& binding) override {
    FusedGroup::bind(binding);
    args_ = {input(binding, 0), plan::window_of(node_, {}), node_.kind == NodeKind::kMaxPool, out_};
  }
  void forward(const Launch& launch, bool) const override { pool_forward(launch, args_); }
  void backward(const Launch& launch) const override {
    if (args_.in.gradient) pool_backward(launch, args_);
  }

 private:
  PoolArgs args_;
};

}  // namespace

std::unique_ptr<FusedGroup> make_pool(const Lowering& lowering, const plan::Group& group) {
  return std::make_unique<PoolGroup>(lowering, group);
}

}  // namespace renas::cudnn
