#include <algorithm>

#include "backend/cudnn/groups/bias.h"
#include "backend/cudnn/groups/groups.h"
#include "backend/cudnn/slice_count.h"

namespace renas::cudnn {

namespace {

/// A dense convolution by cuDNN. It reads and writes plain maps, so views are copied to scratch
/// memory first, and gradients from there. In bfloat16 cuDNN would round the weight gradient too:
/// it is taken by our own kernel then, in float32.
class DenseConvGroup final : public FusedGroup {
 public:
  DenseConvGroup(const Lowering& lowering, const plan::Group& group)
      : FusedGroup(lowering, group),
        plans_(lowering.plans),
        bias_(node_, stored(group.out).map, batch_) {
    const plan::Stored& in =
        stored(plan_.values[static_cast<std::size_t>(group.parts[0].value)].stored);
    const plan::Stored& out = stored(group.out);
    const plan::TermMatrix matrix{
        .positions = node_.window.kernel_height * node_.window.kernel_width,
        .channels = in.shape.channels,
        .k_channels = in.map.channels,
        .depth = node_.window.kernel_height * node_.window.kernel_width * in.map.channels,
        .columns = out.map.channels};
    plan::append_term(lowering.graph, group.terms[0], matrix, weights_);
    in_map_ = in.map;
    in_bf16_ = out.is_bf16;
    term_.window = plan::window_of(node_, {});
    term_.depth = matrix.depth;
    term_.last_column = out.map.channels;
    shape_.precision = out.is_bf16 ? Precision::kBfloat16 : Precision::kFloat32;
    shape_.batch = batch_;
    shape_.height = in.map.height;
    shape_.width = in.map.width;
    shape_.in_channels = shape_.in_pitch = in.map.channels;
    shape_.out_channels = shape_.out_pitch = out.map.channels;
    shape_.window = node_.window;
    if (plans_ == nullptr) return;
    forward_ = plan_for(ConvDirection::kForward);
    if (!group.backward) return;
    if (group.parts[0].gradient) data_gradient_ = plan_for(ConvDirection::kDataGradient);
    if (!in_bf16_) weight_gradient_ = plan_for(ConvDirection::kWeightGradient);
  }

  void reserve(Workspace& workspace) const override {
    const auto batch = static_cast<std::size_t>(batch_);
    const std::size_t number = in_bf16_ ? 2 : 4;
    workspace.needs_scratch(0, batch * in_map_.size() * number);
    if (plans_ == nullptr) {
      workspace.needs_cudnn(static_cast<std::size_t>(ConvTarget().max_workspace_bytes));
    }
    for (const auto* plan : {&forward_, &data_gradient_, &weight_gradient_}) {
      if (*plan) workspace.needs_cudnn(static_cast<std::size_t>((*plan)->workspace_bytes()));
    }
    if (!training_) return;
    bias_.reserve(workspace);
    workspace.needs_scratch(1, batch * stored(group_.out).map.size() * number);
    workspace.needs_partials(in_bf16_ ? static_cast<std::size_t>(slices()) * weights_.forward_size
                                      : weights_.backward_size);
  }

  void bind(const Binding& binding) override {
    FusedGroup::bind(binding);
    workspace_ = binding.workspace.cudnn;
    partials_ = binding.workspace.partials;
    gradients_ = binding.parameters.all_gradients();
    in_ = input(binding, 0);
    copied_input_ = {binding.workspace.scratch[0], in_bf16_};
    copied_gradient_ = {binding.workspace.scratch[1], in_bf16_};
    weights_of_cudnn_ = binding.packed + weights_.forward_size;
    rounded_weights_ =
        binding.layout.take<uint16_t>(in_bf16_ ? weights_.backward_size : std::size_t{0});
    bias_.bind(binding);
    if (!training_) return;
    gradient_map_ = in_bf16_ ? bind_gradients(binding, 0, 0, weights_.forward_size)
                             : bind_transposed_gradients(binding, 0);
    term_.in = in_;
  }

  void forward(const Launch& launch, bool) const override {
    if (in_bf16_) {
      copy_to_bf16(launch, weights_of_cudnn_, weights_.backward_size, rounded_weights_);
    }
    copy_input(launch, in_, copied_input_);
    forward_->execute(launch.cudnn, launch.stream, copied_input_.as<void>(), weights(),
                      out_.data.as<void>(), workspace_);
    bias_.add(launch, out_);
  }

  void backward(const Launch& launch) const override {
    bias_.backward(launch, out_);
    copy_gradient(launch, out_, copied_gradient_);
    if (weight_gradient_) {
      copy_input(launch, in_, copied_input_);
      weight_gradient_->execute(launch.cudnn, launch.stream, copied_input_.as<void>(), partials_,
                                copied_gradient_.as<void>(), workspace_);
      add_gradients(launch, gradient_map_, 1, partials_, gradients_);
    } else {
      product_weight_gradient(launch, term_, out_, slices(), partials_);
      add_gradients(launch, gradient_map_, slices(), partials_, gradients_);
    }
    if (!data_gradient_) return;
    // The input's copy is not needed any more.
    data_gradient_->execute(launch.cudnn, launch.stream, copied_input_.as<void>(), weights(),
                            copied_gradient_.as<void>(), workspace_);
    OutputMap data_gradient;
    data_gradient.map = in_map_;
    data_gradient.gradient = copied_input_;
    add_backward(launch, in_, data_gradient);
  }

 private:
  const plan::Stored& stored(int i) const { return plan_.stored[static_cast<std::size_t>(i)]; }
  std::shared_ptr<const ConvPlan> plan_for(ConvDirection direction) {
    ConvShape shape = shape_;
    shape.direction = direction;
    return plans_->get(shape, node_.name);
  }
  int slices() const {
    return slices_for(static_cast<std::size_t>(batch_) * stored(group_.out).map.pixels(),
                      weights_.forward_size);
  }
  const void* weights() const {
    return in_bf16_ ? static_cast<const void*>(rounded_weights_) : weights_of_cudnn_;
  }

  PlanCache* plans_;
  Bias bias_;
  ConvShape shape_;
  std::shared_ptr<const ConvPlan> forward_, data_gradient_, weight_gradient_;
  Map in_map_;
  bool in_bf16_ = false;  // cuDNN's maps and weights: as the output
  InputView in_;
  TermArgs term_;  // for our own weight gradient
  MapData copied_input_;
  MapData copied_gradient_;
  const float* weights_of_cudnn_ = nullptr;  // [out channels, kh, kw, in channels], padded
  uint16_t* rounded_weights_ = nullptr;      // the same in bfloat16
  GradientMap gradient_map_;
  std::byte* workspace_ = nullptr;
  float* partials_ = nullptr;
  float* gradients_ = nullptr;
};

}  // namespace

bool is_for_cudnn(const Lowering& lowering, const plan::Group& group) {
  constexpr int kWide = 128;    // channels of a 1x1 convolution
  constexpr int kFilters = 32;  // of a larger window
  const Node& node = lowering.graph.node(group.node);
  if (node.kind != NodeKind::kConv || node.groups != 1 || group.terms.size() != 1) return false;
  const int in = lowering.graph.node(node.inputs[0]).shape.channels;
  const int out = node.shape.channels;
  return plan::is_pointwise(node) ? in >= kWide && out >= kWide && !group.parts[0].shifted
                                  : out >= kFilters;
}

std::unique_ptr<FusedGroup> make_dense_conv(const Lowering& lowering, const plan::Group& group) {
  return std::make_unique<DenseConvGroup>(lowering, group);
}

}  // namespace renas::cudnn
