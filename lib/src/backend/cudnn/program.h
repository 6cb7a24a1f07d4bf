#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "backend/cudnn/batch_norms.h"
#include "backend/cudnn/fused_group.h"
#include "backend/cudnn/memory.h"
#include "backend/cudnn/parameters.h"
#include "backend/cudnn/plan_cache.h"
#include "backend/cudnn/streams.h"
#include "backend/plan/plan.h"
#include "backend/plan/schedule.h"
#include "backend/plan/views.h"
#include "renas/backend.h"

namespace renas::cudnn {

/// A GPU, and what its programs leave to the next one.
struct GpuContext {
  int device = 0;
  bool graphs = true;  ///< steps are recorded as CUDA graphs; false: launched kernel by kernel
  int streams = 1;     ///< of a program
  bool tensor_cores = false;  ///< the device has those that multiply bfloat16
  CudnnHandle cudnn;
  PlanCache plans{ConvTarget{cudnn.get(), {}, ConvTarget().max_workspace_bytes}};
  std::mutex launching;  ///< held while cuDNN's handle works for one program
  BlockCache<DeviceBlock> device_blocks;
  BlockCache<PinnedBlock> pinned_blocks;
};

/// A network laid out for a GPU: groups of kernels, and the places of everything in one block of
/// device memory. Needs no device until it is bound.
class GpuNetwork {
 public:
  /// Without `plans` it can only be measured.
  GpuNetwork(const Graph& graph, const ProgramOptions& options, int streams,
             PlanCache* plans = nullptr);

  /// Sets every pointer. Called once without memory, to measure, and once with it.
  void bind(Layout& layout);

  const Graph& graph() const { return graph_; }
  const plan::Plan& plan() const { return plan_; }
  Parameters& parameters() { return parameters_; }
  const Parameters& parameters() const { return parameters_; }
  const StepMemory& step() const { return step_; }
  StepState* state() const { return state_; }
  float* images() const { return images_; }
  int32_t* labels() const { return labels_; }
  const float* scores() const;

  /// Sets to zero what kernels expect to be so: padding of weights and coefficients, metrics,
  /// parameters.
  void clear(const Stream& stream);
  void pack_weights(const Launch& launch) const;
  /// The streams and events that run() wants.
  StepStreams make_streams() const;
  /// Launches the forward and the backward pass; without `training` only what the scores depend on.
  /// Groups that do not depend on each other run on different streams. The first stream is done
  /// when all are. `launch` goes to the first.
  void run(Launch launch, const StepStreams& streams, bool training) const;

 private:
  void bind_packing(Layout& layout);
  void forward(const FusedGroup& group, const Launch& launch, const Workspace& workspace,
               bool training) const;
  void backward(const FusedGroup& group, const Launch& launch, const Workspace& workspace) const;

  Graph graph_;
  ProgramOptions options_;
  plan::Plan plan_;
  Parameters parameters_;
  BatchNorms norms_;
  std::vector<std::unique_ptr<FusedGroup>> groups_;
  std::optional<plan::Views> views_;
  std::vector<int> stream_of_group_;
  plan::Schedule schedules_[2];        // by whether the pass trains
  std::vector<Workspace> workspaces_;  // by stream
  StepMemory step_;
  float* arena_ = nullptr;
  StepState* state_ = nullptr;
  float* images_ = nullptr;
  int32_t* labels_ = nullptr;
  float* packed_ = nullptr;
  std::size_t packed_floats_ = 0;
  const uint32_t* pack_from_ = nullptr;
  const uint32_t* pack_to_ = nullptr;
  std::size_t pack_size_ = 0;
};

/// A network compiled for a GPU. A step copies the batch and its scalars to the device and launches
/// a recorded graph of kernels. Nothing in a step allocates; the host waits only for the last batch
/// to have been copied.
class GpuProgram final : public Program {
 public:
  GpuProgram(const Graph& graph, const ProgramOptions& options,
             std::shared_ptr<GpuContext> context);
  ~GpuProgram() override;

  HostBatch& staging() override;
  void gradients(const StepScalars& step) override;
  void reduce(Reducer& reducer, int ranks) override;
  void update(const SgdStep& step) override;
  StepMetrics metrics() override;
  int steps_between_metrics() const override { return 16; }
  void infer(std::span<float> scores) override;
  void load(const Weights& host) override;
  Weights save(bool momenta) const override;
  Weights gradients_by_name() const override;

  /// The bytes of device memory that a program for `graph` and `options` takes.
  static int64_t bytes(const Graph& graph, const ProgramOptions& options, int streams);

 private:
  /// The host's side of a step, in pinned memory.
  struct Host {
    HostBatch batch;
    StepState* state = nullptr;
    MetricSums* metrics = nullptr;
    float* scores = nullptr;  // of score_images_ images
  };

  int classes() const;
  const plan::Stored& stored_scores() const;
  void lay_out_host(Layout& layout);
  /// Stores the scores of some images, unpadded, and returns where the next go. Waits.
  float* fetch_scores(int first, int images, float* to);
  void copy_batch(const StepScalars& step);
  void run(bool training);

  ProgramOptions options_;
  std::shared_ptr<GpuContext> context_;
  GpuNetwork network_;
  const std::size_t labels_per_image_;
  const int score_images_;  // whose scores are copied from the device at a time
  DeviceBlock block_;
  PinnedBlock pinned_;
  Host host_;
  StepStreams streams_;
  const Stream& stream_;  // the first
  Event copied_;
  Launch launch_;
  bool packed_is_current_ = false;
  // By whether the pass trains. The first pass of each kind runs as it is, the second is recorded.
  bool ran_[2] = {};
  Recording recordings_[2];
};

}  // namespace renas::cudnn
