#pragma once

#include <map>
#include <memory>
#include <vector>

#include "backend/cpu/fused_group.h"
#include "backend/plan/work.h"

/// The roofline of a training step: how fast it could be, to compare measured times with.
namespace renas::cpu {

/// The peaks of this machine as measured, not as a data sheet has them.
class MachinePeaks {
 public:
  /// Measures for about a second. `threads` work at once, as a program's do.
  explicit MachinePeaks(int threads);
  /// Floating-point operations a second of float32 multiply-adds.
  double peak_flops() const { return peak_flops_; }
  /// The same of matrix products of bfloat16: on the tile registers of AMX, or as dot products of
  /// pairs; equal to peak_flops() where there is no such instruction.
  double peak_bf16_flops() const { return peak_bf16_flops_; }
  /// Bytes a second when reading two arrays and writing a third that take `bytes` together.
  double bandwidth(double bytes) const;
  /// The larger of the time to compute and the time to move. Seconds.
  double seconds(const plan::Work& work) const;
  /// Measured bandwidths, by bytes.
  const std::map<double, double>& bandwidths() const { return bandwidths_; }

 private:
  double peak_flops_ = 0;
  double peak_bf16_flops_ = 0;
  double peak_bf16_vector_flops_ = 0;  // the better of dot products of pairs and multiply-adds
  std::map<double, double> bandwidths_;
};

/// The roofline of a training step over `images` images: the sum over its groups, and SGD. Seconds.
double step_seconds(const Graph& graph, const std::vector<std::unique_ptr<FusedGroup>>& groups,
                    int images, const MachinePeaks& machine);

}  // namespace renas::cpu
