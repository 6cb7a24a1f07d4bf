#include "backend/cudnn/groups/forward_product.h"

#include <algorithm>

namespace renas::cudnn {

ForwardProduct::ForwardProduct(const Lowering& lowering, const Map& out)
    : may_sum_(lowering.options.training && !lowering.options.frozen_statistics),
      slices_(product_slices(out, lowering.options.batch)),
      partial_doubles_(static_cast<std::size_t>(slices_) * 2 *
                       static_cast<std::size_t>(out.channels)) {}

void ForwardProduct::reserve(Workspace& workspace) const {
  if (may_sum_) workspace.needs_partials(2 * partial_doubles_);  // a double is two floats
}

void ForwardProduct::bind(const Binding& binding, const std::vector<TermArgs>& terms,
                          const float* bias, int channels, const OutputMap& out) {
  partials_ = binding.workspace.norm_partials();
  sums_ = may_sum_ && out.centre != nullptr;
  args_.terms = binding.layout.constant(terms);
  args_.term_count = static_cast<int>(terms.size());
  args_.may_multiply_bf16 = std::all_of(
      terms.begin(), terms.end(), [&](const TermArgs& t) { return may_multiply_bf16(t, out); });
  args_.bias = bias;
  args_.channels = channels;
  args_.out = out;
}

void ForwardProduct::forward(const Launch& launch, bool training) const {
  if (training && sums_) {
    product_forward_with_statistics(launch, args_, partials_);
  } else {
    product_forward(launch, args_);
  }
}

}  // namespace renas::cudnn
