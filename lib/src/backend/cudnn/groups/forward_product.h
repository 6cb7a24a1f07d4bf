#pragma once

#include <vector>

#include "backend/cudnn/fused_group.h"

namespace renas::cudnn {

/// The matrix product that computes a group's output. In training it also sums what the statistics
/// of the batch norm behind it are taken from.
class ForwardProduct {
 public:
  /// `out` is the output's map.
  ForwardProduct(const Lowering& lowering, const Map& out);

  void reserve(Workspace& workspace) const;
  /// `bias` is [channels], or null.
  void bind(const Binding& binding, const std::vector<TermArgs>& terms, const float* bias,
            int channels, const OutputMap& out);
  /// See FusedGroup::statistics_slices().
  int statistics_slices() const { return sums_ ? slices_ : 0; }
  void forward(const Launch& launch, bool training) const;

 private:
  const bool may_sum_;  // in training, by statistics that are not frozen
  const int slices_;
  const std::size_t partial_doubles_;
  bool sums_ = false;
  double* partials_ = nullptr;
  ProductArgs args_;
};

}  // namespace renas::cudnn
