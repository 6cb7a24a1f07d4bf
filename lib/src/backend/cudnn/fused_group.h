#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "backend/cudnn/batch_norms.h"
#include "backend/cudnn/kernels/args.h"
#include "backend/cudnn/memory.h"
#include "backend/cudnn/parameters.h"
#include "backend/cudnn/plan_cache.h"
#include "backend/plan/plan.h"
#include "backend/plan/views.h"
#include "backend/plan/weights.h"
#include "renas/backend.h"

namespace renas::cudnn {

/// What fused groups are made from. All of it outlives them.
struct Lowering {
  const Graph& graph;
  const plan::Plan& plan;
  const ProgramOptions& options;
  PlanCache* plans = nullptr;  ///< cuDNN's; nullptr: only memory is estimated, without a device
};

/// Memory that the groups of a stream use in turn. They say what they need; then pointers are set.
struct Workspace {
  std::size_t partial_floats = 0;     // partial sums
  std::size_t scratch_bytes[2] = {};  // two maps that live only while a group runs
  std::size_t cudnn_bytes = 0;        // what cuDNN asks for
  float* partials = nullptr;
  std::byte* cudnn = nullptr;
  std::byte* scratch[2] = {};

  double* norm_partials() const { return reinterpret_cast<double*>(partials); }
  void needs_partials(std::size_t floats) { partial_floats = std::max(partial_floats, floats); }
  void needs_cudnn(std::size_t bytes) { cudnn_bytes = std::max(cudnn_bytes, bytes); }
  void needs_scratch(int which, std::size_t bytes) {
    scratch_bytes[which] = std::max(scratch_bytes[which], bytes);
  }
};

/// What the step's inputs and outputs are, in device memory.
struct StepMemory {
  const float* images = nullptr;    // [batch, H, W, C]
  const int32_t* labels = nullptr;  // [batch, height, width] of the scores
  MetricSums* losses = nullptr;     // [kLossBlocks], partial sums
  MetricSums* metrics = nullptr;
};

/// Everything that a group points into.
struct Binding {
  Layout& layout;  // for constants
  const plan::Views& views;
  const Parameters& parameters;
  const Workspace& workspace;
  const StepMemory& step;
  float* packed = nullptr;  // the group's packed weights: forward part, then backward part
};

/// Weight gradients as their kernels leave them, and where they go: gradient[to[i]] += the sum over
/// slices of partials[from[i]].
struct GradientMap {
  const uint32_t* from = nullptr;  // device memory
  const uint32_t* to = nullptr;
  std::size_t size = 0;
  std::size_t stride = 0;  // floats of a slice
};

/// One group of the plan as kernels on a stream. Derived classes are in groups/.
class FusedGroup {
 public:
  FusedGroup(const Lowering& lowering, const plan::Group& group);
  virtual ~FusedGroup() = default;
  FusedGroup(const FusedGroup&) = delete;
  FusedGroup& operator=(const FusedGroup&) = delete;

  const plan::Group& group() const { return group_; }
  const OutputMap& out() const { return out_; }
  /// The batch norm that reads the output, an index into Plan::norms; -1: none.
  int norm() const { return norm_; }
  /// In how many slices forward() in training leaves the sums for that norm's statistics in the
  /// workspace; 0: it takes none.
  virtual int statistics_slices() const { return 0; }
  const plan::GroupWeights& weights() const { return weights_; }
  std::size_t packed_floats() const { return weights_.forward_size + weights_.backward_size; }

  /// Says what the group needs of the workspace.
  virtual void reserve(Workspace&) const {}
  /// Sets every pointer. Called once without memory, to measure, and once with it.
  virtual void bind(const Binding& binding);
  virtual void forward(const Launch& launch, bool training) const = 0;
  /// Stores the inputs' gradients and adds to those of the parameters.
  virtual void backward(const Launch& launch) const = 0;

 protected:
  InputView input(const Binding& binding, std::size_t part) const {
    return binding.views.input(group_.parts[part]);
  }
  /// The parts side by side, in the layout's memory; the host's copy is kept in parts_.
  ConcatArgs bind_concat(const Binding& binding);
  /// The gradient map of weights_.maps[i], whose forward part begins at `first` and has `size`
  /// floats.
  GradientMap bind_gradients(const Binding& binding, std::size_t i, std::size_t first,
                             std::size_t size) const;
  /// The same for gradients in the layout of the backward part, which begins at 0.
  GradientMap bind_transposed_gradients(const Binding& binding, std::size_t i) const;
  static void add_gradients(const Launch& launch, const GradientMap& map, int slices,
                            const float* partials, float* gradients);

  const Node& node_;  // whose value the group computes
  const plan::Plan& plan_;
  const plan::Group group_;
  const int batch_;
  const bool training_;
  OutputMap out_;
  plan::GroupWeights weights_;
  std::vector<PartArgs> parts_;

 private:
  int norm_ = -1;
};

/// The group of a plan's group, by its kind.
std::unique_ptr<FusedGroup> make_group(const Lowering& lowering, const plan::Group& group);

}  // namespace renas::cudnn
