#pragma once

#include <memory>
#include <vector>

#include "backend/cpu/kernels/args.h"
#include "backend/cpu/memory.h"
#include "backend/cpu/onednn/tile_product.h"
#include "backend/cpu/plan.h"
#include "backend/cpu/threads.h"
#include "backend/cpu/weights.h"
#include "renas/backend.h"

namespace renas::cpu {

/// Ranges of pictures with sums of their own. More would balance more threads, and take more memory
/// for the weight gradients of wide layers.
inline constexpr int kImageRanges = 16;

/// Where a picture range's partial holds the gradient sums of a batch norm.
struct NormSums {
  int norm = -1;
  std::size_t offset = 0;
};

/// A group of the plan with its pointers in place.
struct Bound {
  Group group;
  ConvArgs conv;
  SeparableArgs separable;
  PoolArgs pool;
  AddArgs add;
  ConcatArgs join;  // kMaterialise, kGlobalAverage
  OutputMap out;
  GroupWeights weights;
  std::vector<NormSums> sums;      // that this group's backward pass takes
  std::size_t partial_floats = 0;  // that the backward pass adds to: weight gradients, then sums
  std::size_t packed_forward = 0;  // offsets into the packed weights
  std::size_t packed_backward = 0;
  std::size_t bf16_weights = 0;  // and of those that kernels of pairs packed
  int bias = -1;                 // parameter, of a linear layer
  int raw_value = -1;
  int norm = -1;               // that reads the output
  double forward_seconds = 0;  // of the best step, where profiling
  double backward_seconds = 0;
};

/// Coefficients of a batch norm, padded with zeros; see InputView and OutputMap.
struct NormState {
  Norm norm;
  int channels = 0;  // unpadded
  int stride = 0;    // padded
  float* scale = nullptr;
  float* shift = nullptr;
  float* mean = nullptr;
  float* centre = nullptr;
  float* dy_scale = nullptr;
  float* x_scale = nullptr;
  float* offset = nullptr;
  std::vector<double> inverse;     // 1 / standard deviation of the batch
  std::vector<double> sum;         // of the gradient behind the batch norm
  std::vector<double> sum_dy_xmu;  // of it and value - mean
  int twin = -1;          // another batch norm that has the same gradient: one pass for both
  bool has_sums = false;  // of this step: the last writer or the twin took them
};

class CpuProgram final : public Program {
 public:
  /// Its arena comes from `cache`, and goes back there.
  CpuProgram(const Graph& graph, const ProgramOptions& options,
             std::shared_ptr<ArenaCache> cache = std::make_shared<ArenaCache>());
  ~CpuProgram() override;

  HostBatch& staging() override { return staging_; }
  void gradients(const StepScalars& step) override;
  void reduce(Reducer& reducer, int ranks) override;
  void update(const SgdStep& step) override;
  StepMetrics metrics() override;
  void infer(std::span<float> scores) override;
  void load(const Weights& host) override;
  Weights save(bool momenta) const override;
  Weights gradients_by_name() const override;

  /// From now on steps are timed group by group.
  void profile() { profiling_ = true; }
  const std::vector<Bound>& groups() const { return groups_; }

  /// Bytes that a program for `graph` and `options` takes.
  static int64_t bytes(const Graph& graph, const ProgramOptions& options);

 private:
  enum class Mode { kTraining, kInference };
  // bind.cpp: from the plan to pointers.
  void bind();
  void bind_group(int index);
  /// The map `stored`, or a gradient of its shape, at `offset` of the arena.
  MapData map_data(const Stored& stored, std::size_t offset) const;
  InputView source_of(const Part& part) const;
  void bind_output(Bound& bound);
  void bind_sums(Bound& bound);
  void bind_weights(Bound& bound, const GroupWeights& weights);
  /// nullptr where our own kernel is as fast.
  const TileProduct* product_of(const float* weights, int depth, int columns);
  // program.cpp
  void forward(Mode mode, const StepScalars& step);
  void forward_group(Bound& bound, Mode mode, const StepScalars& step);
  void backward_group(Bound& bound, const StepScalars& step);
  void reduce_weight_gradients(Bound& bound, int areas);
  void pack_weights();
  void add_bias(const Bound& bound, int first, int last);
  void run_input(const Bound& bound, int first, int last) const;
  void run_drop(const Bound& bound, bool backward, bool masks, const StepScalars& step, int first,
                int last) const;
  void run_loss(const Bound& bound, bool training);
  void backward_loss(const Bound& bound);
  // norm.cpp
  void prepare_norms(Mode mode);
  void finish_statistics(NormState& norm, int areas);
  void sum_gradients(NormState& norm);
  void find_twins();
  /// `sum`, `dot`: of the first partial, `step` from each to the next.
  void reduce_sums(NormState& norm, const float* sum, const float* dot, std::size_t step,
                   int areas);
  void norm_backward(const Bound& bound);
  /// Calls task(first, last, partial, thread) for ranges of pictures, each with an partial of its
  /// own; the ranges depend on the batch alone, and each thread begins with the same in every call.
  /// Returns their number.
  template <class Task>
  int for_each_image_range(const Task& task);
  /// Calls task(first, last) for pieces of [0, count), one a thread.
  template <class Task>
  void in_pieces(std::size_t count, const Task& task);
  float* parameter(int i) { return weights_.data() + offsets_[static_cast<std::size_t>(i)]; }
  float* parameter_gradient(int i) {
    return gradients_.data() + offsets_[static_cast<std::size_t>(i)];
  }
  std::span<const float> values(const Buffer& buffer, int i) const;

  std::shared_ptr<ArenaCache> arena_cache_;
  Graph graph_;
  ProgramOptions options_;
  Plan plan_;
  int classes_ = 0;
  std::vector<Bound> groups_;
  std::vector<NormState> norms_;
  std::vector<std::size_t> offsets_;  // of parameters
  Buffer images_, arena_, weights_, gradients_, momenta_, packed_, coefficients_, scratch_,
      partials_, sums_;
  std::size_t scratch_size_ = 0;  // a thread
  std::size_t partial_size_ = 0;  // a range of pictures
  struct Packed {
    std::unique_ptr<TileProduct> product;
    const float* weights;
  };
  std::vector<Packed> products_;
  std::vector<int32_t> labels_;
  HostBatch staging_;
  StepMetrics metrics_;
  bool packed_is_current_ = false;
  bool profiling_ = false;
  Threads threads_;
};

}  // namespace renas::cpu
