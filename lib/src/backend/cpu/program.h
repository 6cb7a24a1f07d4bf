#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "backend/cpu/batch_norms.h"
#include "backend/cpu/fused_group.h"
#include "backend/cpu/memory.h"
#include "backend/cpu/parameters.h"
#include "backend/cpu/threads.h"
#include "backend/plan/plan.h"
#include "backend/plan/views.h"
#include "renas/backend.h"

namespace renas::cpu {

/// The shortest times that a group took, in seconds, where a program is profiled.
struct GroupTimes {
  double forward = 0;
  double backward = 0;
};

/// A network compiled for the CPU: fused groups that run one after the other, each over image
/// ranges on all threads.
class CpuProgram final : public Program {
 public:
  /// Takes its arena from `cache` and puts it back there.
  CpuProgram(const Graph& graph, const ProgramOptions& options,
             std::shared_ptr<ArenaCache> cache = std::make_shared<ArenaCache>());
  ~CpuProgram() override;

  HostBatch& staging() override { return staging_; }
  void gradients(const StepScalars& step) override;
  void reduce(Reducer& reducer, int ranks) override { parameters_.reduce(reducer, ranks); }
  void update(const SgdStep& step) override;
  StepMetrics metrics() override;
  void infer(std::span<float> scores) override;
  void load(const Weights& host) override;
  Weights save(bool momenta) const override { return parameters_.save(momenta); }
  Weights gradients_by_name() const override { return parameters_.gradients_by_name(); }
  std::optional<Roofline> roofline(int images) const override;

  /// From now on steps are timed group by group.
  void profile() { profiling_ = true; }
  const std::vector<std::unique_ptr<FusedGroup>>& groups() const { return groups_; }
  /// By group.
  const std::vector<GroupTimes>& times() const { return times_; }

  /// The bytes that a program for `graph` and `options` takes.
  static int64_t bytes(const Graph& graph, const ProgramOptions& options);

 private:
  void allocate_step_memory();
  StepContext context(bool training, const StepScalars& step);
  void forward(const StepContext& step);
  void run_forward(FusedGroup& group, const StepContext& step);
  void run_backward(FusedGroup& group, const StepContext& step);
  void reduce_weight_gradients(const FusedGroup& group, int ranges);
  void pack_weights();
  float* scratch(int thread) { return scratch_.data() + thread * scratch_size_; }

  std::shared_ptr<ArenaCache> arena_cache_;
  Graph graph_;
  std::size_t per_image_;  // labels of an image
  ProgramOptions options_;
  plan::Plan plan_;
  Parameters parameters_;
  BatchNorms norms_;
  Buffer arena_;
  plan::Views views_;
  std::vector<std::unique_ptr<FusedGroup>> groups_;
  std::vector<GroupTimes> times_;
  Buffer images_;
  std::vector<int32_t> labels_;
  HostBatch staging_;
  Buffer packed_;    // the groups' packed weights
  Buffer scratch_;   // [thread][scratch_size_]
  Buffer partials_;  // [total, then image range][partial_size_]
  std::size_t scratch_size_ = 0;
  std::size_t partial_size_ = 0;
  StepMetrics metrics_;
  bool packed_is_current_ = false;
  bool profiling_ = false;
  Threads threads_;
};

}  // namespace renas::cpu
