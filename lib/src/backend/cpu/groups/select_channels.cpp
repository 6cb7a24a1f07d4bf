#include "backend/cpu/groups/groups.h"

namespace renas::cpu {

namespace {

class SelectChannelsGroup final : public FusedGroup {
 public:
  SelectChannelsGroup(const Lowering& lowering, const plan::Group& group)
      : FusedGroup(lowering, group) {
    args_.in = lowering.views.input(group.parts[0]);
    args_.out = out_;
    args_.channels = node_.channels;
  }

  std::size_t scratch_floats() const override { return select_channels_scratch(args_); }

  void backward(const ImageRange& range, const StepContext&, float* scratch, float*) override {
    if (args_.in.gradient) select_channels_backward(args_, range.first, range.last, scratch);
  }

 protected:
  void forward(const ImageRange& range, const StepContext&, float* scratch, float*) override {
    select_channels_forward(args_, range.first, range.last, scratch);
  }
  void add_work(plan::GroupWork& work) const override { work.inputs.push_back(args_.in); }

 private:
  SelectChannelsArgs args_;
};

}  // namespace

std::unique_ptr<FusedGroup> make_select_channels(const Lowering& lowering,
                                                 const plan::Group& group) {
  return std::make_unique<SelectChannelsGroup>(lowering, group);
}

}  // namespace renas::cpu
