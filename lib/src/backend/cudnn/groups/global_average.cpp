#include "backend/cudnn/groups/groups.h"

namespace renas::cudnn {

namespace {

/// A global average pool, of a concatenation or a single map.
class GlobalAverageGroup final : public FusedGroup {
 public:
  using FusedGroup::FusedGroup;

  void bind(const Binding& binding) override {
    FusedGroup::bind(binding);
    args_ = bind_concat(binding);
  }
  void forward(const Launch& launch, bool) const override { global_average_forward(launch, args_); }
  void backward(const Launch& launch) const override {
    for (const PartArgs& part : parts_) {
      if (part.in.gradient) global_average_backward(launch, part, out_);
    }
  }

 private:
  ConcatArgs args_;
};

}  // namespace

std::unique_ptr<FusedGroup> make_global_average(const Lowering& lowering,
                                                const plan::Group& group) {
  return std::make_unique<GlobalAverageGroup>(lowering, group);
}

}  // namespace renas::cudnn
