#pragma once

#include <vector>

#include "backend/cudnn/kernels/args.h"
#include "backend/cudnn/memory.h"
#include "backend/cudnn/parameters.h"
#include "backend/plan/plan.h"
#include "backend/plan/views.h"

namespace renas::cudnn {

/// The batch norms of one program. A normalised map is never stored: readers apply scale and shift
/// while loading. The formulas are those of the CPU's BatchNorms; sums are taken over slices of
/// the pixels, forward by the product that computes the map where it is one, otherwise and backward
/// by passes of their own. Keeps references to what it is made from.
class BatchNorms {
 public:
  BatchNorms(const Graph& graph, const plan::Plan& plan, int batch, bool frozen);

  /// Takes the memory of coefficients from `layout`.
  void bind(Layout& layout, const Parameters& parameters);
  /// The partial sums that a norm needs at most, in doubles.
  std::size_t partial_doubles() const;
  /// Where readers find the coefficients, by norm.
  std::vector<plan::NormCoefficients> coefficients() const;
  /// Sets the coefficients, and with them their padding, to zero.
  void clear(const Stream& stream);

  /// Before a forward pass: sets the centres or, for inference, the coefficients.
  void prepare(const Launch& launch, bool training) const;
  /// Computes coefficients and running statistics of the norm that reads map x. If `slices` is not
  /// 0, the producer of the map has left so many partial sums.
  void finish_statistics(const Launch& launch, int norm, const MapData& x, int slices,
                         double* partials) const;
  /// Computes the parameters' gradients and the coefficients of dx. Where the producer of the map,
  /// whose output is `out`, does not apply these, also computes dx itself.
  void backward(const Launch& launch, int norm, const OutputMap& out, const plan::Views& views,
                double* partials) const;

 private:
  int own_slices(int norm) const;

  const Graph& graph_;
  const plan::Plan& plan_;
  const int batch_;
  std::vector<NormArgs> norms_;
  const NormArgs* device_norms_ = nullptr;
  float* coefficients_ = nullptr;
  std::size_t coefficient_floats_ = 0;
};

}  // namespace renas::cudnn
