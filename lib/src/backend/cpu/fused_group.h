#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "backend/cpu/image_ranges.h"
#include "backend/cpu/kernels/args.h"
#include "backend/cpu/parameters.h"
#include "backend/plan/plan.h"
#include "backend/plan/views.h"
#include "backend/plan/weights.h"
#include "backend/plan/work.h"
#include "renas/backend.h"

namespace renas::cpu {

/// What fused groups are made from. All of it outlives them.
struct Lowering {
  const Graph& graph;
  const plan::Plan& plan;
  const plan::Views& views;
  const Parameters& parameters;
  const ProgramOptions& options;
};

/// What a group may know of the step that runs.
struct StepContext {
  bool training = false;  // batch statistics and random masks; otherwise inference
  StepScalars scalars = {};
  int count = 0;                    // images in the batch
  const float* images = nullptr;    // [count, C, H, W]
  const int32_t* labels = nullptr;  // [count], or [count, H, W]
  StepMetrics* metrics = nullptr;
};

/// Where an image range's partial sums hold the backward sums of a batch norm.
struct NormSums {
  int norm = -1;
  std::size_t offset = 0;  // floats
};

/// One fused pass of a compiled network, with every pointer in place: a group of the plan and the
/// kernels that compute it. Derived classes are in groups/.
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

  /// Scratch memory that a thread needs, in floats.
  virtual std::size_t scratch_floats() const { return 0; }
  /// Partial sums of an image range, in floats: weight gradients, then backward sums of batch
  /// norms.
  std::size_t partial_floats() const { return partial_floats_; }
  const std::vector<NormSums>& norm_sums() const { return norm_sums_; }
  const plan::GroupWeights& weights() const { return weights_; }

  /// Packed weights, in floats: forward, backward, and those of bfloat16 kernels.
  std::size_t packed_floats() const;
  /// Gives the packed weights their memory. Called once, before the first step.
  void place_weights(float* packed);
  /// Packs the weights after each change of the parameters. Several groups may pack at once.
  void pack_weights() const;
  /// Passes packed weights on to oneDNN, where it multiplies. One group at a time.
  virtual void set_product_weights() {}

  /// True if forward() and backward() take the whole batch at once, on one thread.
  virtual bool on_whole_batch() const { return false; }
  /// Computes the output. Adds its statistics, see separable_forward(), to `sums` unless nullptr.
  void run_forward(const ImageRange& range, const StepContext& step, float* scratch, float* sums);
  /// Stores the inputs' gradients and adds to `partial`, the range's partial sums.
  virtual void backward(const ImageRange& range, const StepContext& step, float* scratch,
                        float* partial) = 0;
  /// Called once after backward() has run on all image ranges.
  virtual void finish_backward(const StepContext&) {}

  /// What the group computes and moves, for the roofline.
  plan::GroupWork work() const;
  /// The group in words, such as "separable 5x5/2 24>48 16x16".
  std::string describe() const;

 protected:
  /// As run_forward(). Statistics are wanted only from groups that takes_statistics().
  virtual void forward(const ImageRange& range, const StepContext& step, float* scratch,
                       float* sums) = 0;
  /// True if forward() takes the statistics itself, while the output is in cache.
  virtual bool takes_statistics() const { return false; }
  /// The first words of describe().
  virtual std::string label() const { return plan::to_string(group_.kind); }
  /// Adds inputs and arithmetic to `work`; the rest is filled in.
  virtual void add_work(plan::GroupWork& work) const = 0;
  /// Tells a group with weights where they are packed. The last is for bfloat16 kernels.
  virtual void bind_weights(const float* /*forward*/, const float* /*backward*/,
                            const float* /*bf16*/) {}
  /// The packed weights of bfloat16 kernels, in floats, and how to pack them.
  virtual std::size_t bf16_floats() const { return 0; }
  virtual void pack_bf16(float* /*packed*/) const {}

  /// Reserves the partial sums: the weight gradients, then for each part that takes them the batch
  /// norm's backward sums, whose places `inputs` get. Called when weights_ is complete.
  void reserve_partials(const Lowering& lowering, const std::vector<InputView*>& inputs);
  /// The views of all parts.
  std::vector<InputView> inputs(const Lowering& lowering) const;
  /// The parts side by side, as ConcatArgs has them.
  ConcatArgs concat_args(const Lowering& lowering) const;

  const Node& node_;  // whose value the group computes
  const plan::Group group_;
  const bool training_;
  OutputMap out_;
  plan::GroupWeights weights_;
  const Parameters& parameters_;

 private:
  int norm_ = -1;
  std::size_t partial_floats_ = 0;
  std::vector<NormSums> norm_sums_;
  float* packed_ = nullptr;
};

/// " 5x5/2 rate 2": kernel size, and stride and dilation, if these are not 1.
std::string to_string(const WindowArgs& window);

}  // namespace renas::cpu
