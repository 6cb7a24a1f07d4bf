#pragma once

#include <cstddef>
#include <vector>

#include "backend/cpu/image_ranges.h"
#include "backend/cpu/memory.h"
#include "backend/cpu/parameters.h"
#include "backend/plan/plan.h"
#include "backend/plan/views.h"

namespace renas::cpu {

/// The batch norms of one program. A normalised map is never stored: readers apply scale and shift
/// while loading, and this class computes those coefficients. Forward, a norm takes two passes:
///
///   the producer of map x adds up x - centre and its square, per channel and image range
///   finish_statistics() turns the sums into mean, variance, scale and shift; then readers may read
///
/// The centre is the running mean. Around zero, a mean far from zero would drown the variance.
///
/// Backward, with dy the gradient behind the norm, s the standard deviation and m the number of
/// values:
///
///   the last writer of dy adds up dy and dy * (x - mean); if it cannot, a pass of its own does
///   backward() turns these sums into the coefficients of
///     dx = scale / s * (dy - sum(dy) / m - (x - mean) * sum(dy * (x - mean)) / (m * s * s))
///        = dy_scale * dy + x_scale * x + offset
///   and the producer of x computes dx while loading dy
///
/// Keeps references to what it is made from.
class BatchNorms {
 public:
  /// `frozen`: statistics are the running ones, also in training.
  BatchNorms(const Graph& graph, const plan::Plan& plan, const Parameters& parameters, int batch,
             bool frozen);

  /// Where readers find the coefficients, by norm.
  std::vector<plan::NormCoefficients> coefficients() const;

  /// Before a forward pass: sets the centres or, for inference, the coefficients.
  void prepare(bool training);
  /// The partial sums of an image range for the statistics of `norm`, [2][channels], set to zero.
  float* clear_sums(int norm, const ImageRange& range);
  /// Computes coefficients and running statistics from the sums of `ranges` image ranges, which
  /// cover `images` images. Frozen ones do not ask the sums.
  void finish_statistics(int norm, int ranges, int images);

  /// Adds up the backward sums that a group took, [2][channels] in each image range: those of the
  /// first range are at `sums`, each next range's `step` floats on.
  void reduce_sums(int norm, const float* sums, std::size_t step, int ranges);
  /// Computes the norm's parameter gradients and the coefficients of dx. Where the producer of the
  /// map, whose output is `out`, does not apply these, also computes dx itself.
  void backward(int norm, const plan::OutputMap& out, const plan::Views& views, int images,
                Threads& threads);

 private:
  struct State {
    plan::NormCoefficients coefficients;
    int channels = 0;             // unpadded
    int stride = 0;               // padded
    std::vector<double> inverse;  // 1 / standard deviation of the batch
    std::vector<double> sum_dy;
    std::vector<double> sum_dy_xmu;  // of dy * (x - mean)
    int twin = -1;                   // another norm with the same dy: one pass takes both sums
    bool has_sums = false;           // in this step: the last writer or the twin's pass took them
  };

  const plan::Norm& norm_at(int norm) const { return plan_.norms[norm]; }
  const plan::Stored& stored_of(int norm) const { return plan_.stored[norm_at(norm).stored]; }
  State& state(int norm) { return states_[norm]; }
  float* sums_at(int range) { return sums_.data() + range * sums_size_; }
  void reduce(State& state, const float* dy, const float* dy_xmu, std::size_t step, int ranges);
  void sum_gradients(int norm, const plan::Views& views, int images, Threads& threads);

  const Graph& graph_;
  const plan::Plan& plan_;
  const Parameters& parameters_;
  bool frozen_;
  std::vector<State> states_;  // by norm
  Buffer coefficients_;
  Buffer sums_;                // [image range][sums_size_]
  std::size_t sums_size_ = 0;  // floats
};

}  // namespace renas::cpu
