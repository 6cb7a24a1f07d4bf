#include "backend/cudnn/groups/groups.h"

namespace renas::cudnn {

namespace {

/// Some channels of a map in another order.
class SelectChannelsGroup final : public FusedGroup {
 public:
  using FusedGroup::FusedGroup;

  void bind(const Binding& binding) override {
    FusedGroup::bind(binding);
    args_.in = input(binding, 0);
    args_.out = out_;
    std::vector<int32_t> from(static_cast<std::size_t>(out_.map.channels), -1);
    std::vector<int32_t> to(static_cast<std::size_t>(args_.in.map.channels), -1);
    for (std::size_t k = 0; k < node_.channels.size(); ++k) {
      from[k] = node_.channels[k];
      to[static_cast<std::size_t>(node_.channels[k])] = static_cast<int32_t>(k);
    }
    args_.from = binding.layout.constant(from);
    args_.to = binding.layout.constant(to);
  }
  void forward(const Launch& launch, bool) const override {
    select_channels_forward(launch, args_);
  }
  void backward(const Launch& launch) const override {
    if (args_.in.gradient) select_channels_backward(launch, args_);
  }

 private:
  SelectChannelsArgs args_;
};

}  // namespace

std::unique_ptr<FusedGroup> make_select_channels(const Lowering& lowering,
                                                 const plan::Group& group) {
  return std::make_unique<SelectChannelsGroup>(lowering, group);
}

}  // namespace renas::cudnn
