#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "backend/cpu/program.h"

/// How fast a training step could be: the limit that measured times are compared with.
namespace renas::cpu {

/// What one pass over a group costs at least, for one batch.
struct Work {
  double flops = 0;
  double bf16_flops = 0;  ///< of convolutions over maps in bfloat16
  double bytes = 0;       ///< each map that it must read or write, once

  double all_flops() const { return flops + bf16_flops; }
};

/// The machine, measured: not what a data sheet says.
class MachinePeaks {
 public:
  /// Takes about a second. `threads` work at once, as a program's do.
  explicit MachinePeaks(int threads);
  double peak_flops() const { return peak_flops_; }
  /// Of bfloat16 pairs; as peak_flops() where there are no such instructions.
  double peak_bf16_flops() const { return peak_bf16_flops_; }
  /// Bytes a second of reading two arrays and writing a third that take `bytes` together.
  double bandwidth(double bytes) const;
  /// The larger of the time to compute and the time to move. Seconds.
  double limit(const Work& work) const;
  const std::map<double, double>& bandwidths() const { return bandwidths_; }

 private:
  double peak_flops_ = 0;
  double peak_bf16_flops_ = 0;
  std::map<double, double> bandwidths_;  // by bytes
};

/// What a perfect fusion of `bound` computes and moves for `count` pictures: the maps it reads, the
/// map it writes; backward also the gradients it takes and gives. Sums of batch norms cost nothing:
/// a perfect fusion takes them while it writes. Recomputed depthwise results are not counted.
Work forward_work(const Graph& graph, const Bound& bound, int count);
Work backward_work(const Graph& graph, const Bound& bound, int count);
/// SGD: weights, gradients and momenta read and written once.
Work update_work(const Graph& graph);

/// The sum over the groups of a training step, and SGD. Seconds.
double step_roofline(const Graph& graph, const CpuProgram& program, int count,
                     const MachinePeaks& machine);

std::string describe(const Graph& graph, const Bound& bound);

}  // namespace renas::cpu
