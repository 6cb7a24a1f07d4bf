#include "backend/cudnn/groups/bias.h"
#include "backend/cudnn/groups/forward_product.h"
#include "backend/cudnn/groups/groups.h"
#include "backend/cudnn/slice_count.h"

namespace renas::cudnn {

namespace {

/// A dense convolution with or without bias, several 1x1 convolutions side by side, or a linear
/// layer: a sum of matrix products, one for each map of the input.
class ConvGroup final : public FusedGroup {
 public:
  ConvGroup(const Lowering& lowering, const plan::Group& group)
      : FusedGroup(lowering, group),
        product_(lowering, stored(group.out).map),
        bias_(node_, stored(group.out).map, batch_) {
    const int columns = stored(group.out).map.channels;
    for (std::size_t k = 0; k < group.parts.size(); ++k) {
      const plan::Part& part = group.parts[k];
      const plan::Stored& in = stored(plan_.values[static_cast<std::size_t>(part.value)].stored);
      const Node& conv = lowering.graph.node(group.terms[k].conv);
      TermArgs term;
      term.window = plan::window_of(conv, lowering.graph.node(conv.inputs[0]).shape);
      if (part.shifted) {
        --term.window.top;
        --term.window.left;
      }
      plan::TermMatrix matrix;
      matrix.positions = term.window.height * term.window.width;
      matrix.channels = in.shape.channels;
      matrix.k_channels = in.map.channels;
      matrix.depth = matrix.positions * matrix.k_channels;
      matrix.columns = columns;
      term.depth = matrix.depth;
      term.first_column = group.terms[k].out_first / 8 * 8;
      term.last_column = (group.terms[k].out_first + conv.shape.channels + 7) / 8 * 8;
      first_.push_back(weights_.forward_size);
      plan::append_term(lowering.graph, group.terms[k], matrix, weights_);
      terms_.push_back(term);
    }
  }

  void reserve(Workspace& workspace) const override {
    if (!training_) return;
    product_.reserve(workspace);
    bias_.reserve(workspace);
    for (const TermArgs& term : terms_) {
      workspace.needs_partials(static_cast<std::size_t>(slices(term)) * size(term));
    }
  }

  void bind(const Binding& binding) override {
    FusedGroup::bind(binding);
    partials_ = binding.workspace.partials;
    gradients_ = binding.parameters.all_gradients();
    maps_.clear();
    for (std::size_t k = 0; k < terms_.size(); ++k) {
      TermArgs& term = terms_[k];
      term.in = input(binding, k);
      term.weight = binding.packed + first_[k];
      term.weight_transposed = term.weight + weights_.forward_size;
      if (training_) maps_.push_back(bind_gradients(binding, k, first_[k], size(term)));
    }
    bias_.bind(binding);
    product_.bind(binding, terms_, bias_.values(), node_.shape.channels, out_);
  }

  int statistics_slices() const override { return product_.statistics_slices(); }

  void forward(const Launch& launch, bool training) const override {
    product_.forward(launch, training);
  }

  void backward(const Launch& launch) const override {
    for (std::size_t k = 0; k < terms_.size(); ++k) {
      const TermArgs& term = terms_[k];
      if (term.in.gradient) product_data_gradient(launch, term, out_);
      product_weight_gradient(launch, term, out_, slices(term), partials_);
      add_gradients(launch, maps_[k], slices(term), partials_, gradients_);
    }
    bias_.backward(launch, out_);
  }

 private:
  const plan::Stored& stored(int i) const { return plan_.stored[static_cast<std::size_t>(i)]; }
  /// A term's matrix, in floats.
  std::size_t size(const TermArgs& term) const {
    return static_cast<std::size_t>(term.depth) *
           static_cast<std::size_t>(stored(group_.out).map.channels);
  }
  int slices(const TermArgs& term) const {
    return slices_for(static_cast<std::size_t>(batch_) * stored(group_.out).map.pixels(),
                      size(term));
  }

  std::vector<TermArgs> terms_;
  std::vector<std::size_t> first_;  // where each term's weights begin
  std::vector<GradientMap> maps_;
  ForwardProduct product_;
  Bias bias_;
  float* partials_ = nullptr;
  float* gradients_ = nullptr;
};

}  // namespace

std::unique_ptr<FusedGroup> make_conv(const Lowering& lowering, const plan::Group& group) {
  return std::make_unique<ConvGroup>(lowering, group);
}

}  // namespace renas::cudnn
