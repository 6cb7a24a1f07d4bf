#include "backend/cpu/groups/groups.h"
#include "backend/cpu/kernels/bf16_kernels.h"

namespace renas::cpu {

namespace {

/// A depthwise convolution and, mostly, the 1x1 convolution behind it.
class SeparableGroup final : public FusedGroup {
 public:
  SeparableGroup(const Lowering& lowering, const plan::Group& group) : FusedGroup(lowering, group) {
    const Node& depthwise = lowering.graph.node(group.depthwise);
    args_.in = lowering.views.input(group.parts[0]);
    args_.window = plan::window_of(depthwise, {});
    args_.out = out_;
    const int rows = args_.in.map.channels;
    plan::append_depthwise(depthwise, rows, kBlock, weights_);
    if (group.pointwise >= 0) {
      args_.pointwise_gradient = weights_.forward_size;
      plan::append_pointwise(lowering.graph.node(group.pointwise), depthwise.shape.channels, rows,
                             out_.map.channels, weights_);
    }
    args_.bf16_kernels = bf16::kernels_for(args_);
    reserve_partials(lowering, {&args_.in});
  }

  std::size_t scratch_floats() const override { return separable_scratch(args_); }

  void backward(const ImageRange& range, const StepContext&, float* scratch,
                float* partial) override {
    separable_backward(args_, range.first, range.last, scratch, partial);
  }

 protected:
  void forward(const ImageRange& range, const StepContext&, float* scratch, float* sums) override {
    separable_forward(args_, range.first, range.last, scratch, sums);
  }
  bool takes_statistics() const override { return true; }
  std::string label() const override { return "separable" + to_string(args_.window); }
  void add_work(plan::GroupWork& work) const override {
    work.inputs.push_back(args_.in);
    work.depthwise = static_cast<double>(weights_.maps[0].element.size()) *
                     static_cast<double>(out_.map.pixels());
  }

  void bind_weights(const float* forward, const float* backward, const float* bf16) override {
    args_.bf16_weights = bf16;
    args_.depthwise = forward;
    args_.depthwise_flipped = backward;
    if (group_.pointwise < 0) return;
    args_.pointwise = forward + args_.pointwise_gradient;
    args_.pointwise_transposed = backward + args_.pointwise_gradient;
  }
  std::size_t bf16_floats() const override {
    return args_.bf16_kernels == nullptr ? 0 : args_.bf16_kernels->packed(args_);
  }
  void pack_bf16(float* packed) const override {
    if (args_.bf16_kernels != nullptr) args_.bf16_kernels->pack(args_, training_, packed);
  }

 private:
  SeparableArgs args_;
};

}  // namespace

std::unique_ptr<FusedGroup> make_separable(const Lowering& lowering, const plan::Group& group) {
  return std::make_unique<SeparableGroup>(lowering, group);
}

}  // namespace renas::cpu
