#include <algorithm>

#include "backend/cpu/groups/groups.h"
#include "backend/cpu/kernels/bf16_kernels.h"
#include "backend/cpu/onednn/tile_product.h"

namespace renas::cpu {

namespace {

/// Dense convolutions that make one matrix product: a convolution, with or without bias,
/// convolutions side by side, or a linear layer. Each part of a concatenation that they read is a
/// term of its own.
class ConvGroup final : public FusedGroup {
 public:
  ConvGroup(const Lowering& lowering, const plan::Group& group)
      : FusedGroup(lowering, group), threads_(lowering.options.threads) {
    args_.out = out_;
    const int columns = out_.map.channels;
    std::vector<InputView*> inputs;
    for (std::size_t k = 0; k < group.parts.size(); ++k) {
      const plan::Part& part = group.parts[k];
      const Node& conv = lowering.graph.node(group.terms[k].conv);
      TermArgs term;
      term.in = lowering.views.input(part);
      term.window = plan::window_of(conv, lowering.graph.node(conv.inputs[0]).shape);
      if (part.shifted) {
        --term.window.top;
        --term.window.left;
      }
      plan::TermMatrix matrix;
      matrix.positions = term.window.height * term.window.width;
      matrix.channels = lowering.views.channels(part);
      const bool is_map = matrix.positions == 1 && term.window.stride_height == 1 &&
                          term.window.stride_width == 1 && term.window.top == 0 &&
                          term.window.left == 0;
      matrix.k_channels =
          is_map || matrix.channels >= kBlock ? term.in.map.channels : matrix.channels;
      matrix.depth = padded(matrix.positions * matrix.k_channels);
      matrix.columns = columns;
      term.k_channels = matrix.k_channels;
      term.depth = matrix.depth;
      term.weight_gradient = weights_.forward_size;
      plan::append_term(lowering.graph, group.terms[k], matrix, weights_);
      args_.terms.push_back(term);
    }
    if (node_.parameters.size() > 1) bias_ = node_.parameters[1];
    args_.bf16_kernels = bf16::kernels_for(args_);
    for (TermArgs& term : args_.terms) inputs.push_back(&term.in);
    reserve_partials(lowering, inputs);
  }

  std::size_t scratch_floats() const override { return conv_scratch(args_); }

  void set_product_weights() override {
    for (const Product& p : products_) p.product->set_weights(p.weights);
  }

  void backward(const ImageRange& range, const StepContext&, float* scratch,
                float* partial) override {
    conv_backward(args_, range.first, range.last, scratch, partial, range.thread);
  }

  void finish_backward(const StepContext& step) override {
    if (bias_ < 0) return;
    float* gradient = parameters_.gradient(bias_);
    std::vector<double> sums(static_cast<std::size_t>(node_.shape.channels));
    for (int n = 0; n < step.count; ++n) {
      std::fill(sums.begin(), sums.end(), 0.0);
      for_each_pixel(n, [&](std::size_t at) {
        for (std::size_t c = 0; c < sums.size(); ++c) sums[c] += out_.gradient.get(at + c);
      });
      for (std::size_t c = 0; c < sums.size(); ++c) gradient[c] += static_cast<float>(sums[c]);
    }
  }

 protected:
  void forward(const ImageRange& range, const StepContext&, float* scratch, float* sums) override {
    conv_forward(args_, range.first, range.last, scratch, sums, range.thread);
    if (bias_ < 0) return;
    const float* bias = parameters_.values(bias_);
    const auto channels = static_cast<std::size_t>(node_.shape.channels);
    for (int n = range.first; n < range.last; ++n) {
      for_each_pixel(n, [&](std::size_t at) {
        for (std::size_t c = 0; c < channels; ++c) {
          out_.data.set(at + c, out_.data.get(at + c) + bias[c]);
        }
      });
    }
  }
  bool takes_statistics() const override { return bias_ < 0; }
  std::string label() const override { return "conv" + to_string(args_.terms[0].window); }
  void add_work(plan::GroupWork& work) const override {
    for (const TermArgs& term : args_.terms) work.inputs.push_back(term.in);
  }

  void bind_weights(const float* forward, const float* backward, const float* bf16) override {
    args_.bf16_weights = bf16;
    for (TermArgs& term : args_.terms) {
      term.weight = forward + term.weight_gradient;
      term.weight_transposed = backward + term.weight_gradient;
      if (args_.bf16_kernels != nullptr) continue;
      const int columns = out_.map.channels;
      term.product = product_of(term.weight, term.depth, columns);
      if (training_) {
        term.product_transposed = product_of(term.weight_transposed, columns, term.depth);
      }
    }
  }
  std::size_t bf16_floats() const override {
    return args_.bf16_kernels == nullptr ? 0 : args_.bf16_kernels->packed(args_);
  }
  void pack_bf16(float* packed) const override {
    if (args_.bf16_kernels != nullptr) args_.bf16_kernels->pack(args_, training_, packed);
  }

 private:
  /// Calls visit(offset in the output) for each pixel of image n.
  template <class Visit>
  void for_each_pixel(int n, const Visit& visit) const {
    for (std::size_t p = 0; p < out_.map.pixels(); ++p) {
      visit(n * out_.map.size() + p * out_.map.channels);
    }
  }

  /// oneDNN's product with `weights`; nullptr where our own kernel is as fast.
  const TileProduct* product_of(const float* weights, int depth, int columns) {
    if (!TileProduct::pays(depth, columns)) return nullptr;
    products_.push_back(
        {std::make_unique<TileProduct>(kTilePixels, depth, columns, threads_), weights});
    return products_.back().product.get();
  }

  struct Product {
    std::unique_ptr<TileProduct> product;
    const float* weights;
  };

  ConvArgs args_;
  int bias_ = -1;  // parameter; -1: none
  int threads_;
  std::vector<Product> products_;
};

}  // namespace

std::unique_ptr<FusedGroup> make_conv(const Lowering& lowering, const plan::Group& group) {
  return std::make_unique<ConvGroup>(lowering, group);
}

}  // namespace renas::cpu
