#pragma once

#include "backend/cudnn/fused_group.h"

namespace renas::cudnn {

/// The bias of a convolution or a linear layer, or that there is none.
class Bias {
 public:
  /// `out` is the layer's map.
  Bias(const Node& node, const Map& out, int batch);

  explicit operator bool() const { return parameter_ >= 0; }
  void reserve(Workspace& workspace) const;
  void bind(const Binding& binding);
  /// [channels]; nullptr: there is none.
  const float* values() const { return values_; }
  /// Adds it to a map that is there.
  void add(const Launch& launch, const OutputMap& out) const;
  /// Adds to its gradient.
  void backward(const Launch& launch, const OutputMap& out) const;

 private:
  int parameter_ = -1;
  int channels_ = 0;
  int slices_ = 1;
  std::size_t partial_floats_ = 0;
  const float* values_ = nullptr;
  float* gradient_ = nullptr;
  double* partials_ = nullptr;
};

}  // namespace renas::cudnn
