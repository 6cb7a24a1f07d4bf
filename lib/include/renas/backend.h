#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "renas/graph.h"
#include "renas/tensor.h"

namespace renas {

/// Sums arrays over the ranks of a data-parallel training. One rank alone needs none.
class Reducer {
 public:
  virtual ~Reducer() = default;
  /// Replaces `values` by their sum over all ranks. Called by all ranks in the same order.
  virtual void sum(std::span<float> values) = 0;
};

/// Of the maps between layers and their gradients. With kBfloat16 they take half the memory, and
/// the gradients of several readers add up rounded; weights, their gradients, batch-norm
/// statistics, scores and the sums within a layer stay float32. Where the processor multiplies
/// bfloat16, what a convolution multiplies is rounded to it too, so results differ between
/// processors.
enum class Precision { kFloat32, kBfloat16 };

struct ProgramOptions {
  int batch = 64;        ///< the largest batch
  bool training = true;  ///< false: infer() only, less memory
  int threads = 1;       ///< threads the program may use
  Precision precision = Precision::kFloat32;
  /// Learning-rate group of each graph parameter, an index into SgdStep::learning_rates;
  /// empty: all in group 0.
  std::vector<int> parameter_groups = {};
};

/// The next batch, in host memory that the program owns.
struct HostBatch {
  std::span<float> images;    ///< [batch, C, H, W]
  std::span<int32_t> labels;  ///< [batch], class indices
  int count = 0;              ///< pictures in it, 1 .. batch
};

/// What changes from step to step of the forward pass. Masks are a function of (seed, step, node,
/// element) through philox(), the same in every backend.
struct StepScalars {
  uint64_t seed = 0;
  uint64_t step = 0;
  float drop_path = 1;  ///< times each kDropPath node's probability
};

/// v = momentum v + (gradient + decay w); w -= learning_rate v. Decay only where
/// Parameter::decays().
struct SgdStep {
  std::vector<float> learning_rates = {0.01F};  ///< by parameter group
  float momentum = 0.9F;
  float weight_decay = 3e-4F;
};

/// Of the main head, summed over the gradients() calls since metrics() was last asked.
struct StepMetrics {
  double loss = 0;  ///< total over pictures, in nats, without the auxiliary head
  int64_t correct = 0;
  int64_t count = 0;
};

struct MemoryEstimate {
  int64_t bytes = 0;
};

/// One network on one device; used by one thread at a time.
class Program {
 public:
  virtual ~Program() = default;
  /// Fill images and labels and set count, then call gradients or infer.
  virtual HostBatch& staging() = 0;
  /// Forward and backward over the staged batch; adds to the gradients and updates BN statistics.
  virtual void gradients(const StepScalars& step) = 0;
  /// Sums gradients over ranks and divides by their number; a no-op alone.
  virtual void reduce(Reducer& reducer, int ranks) = 0;
  /// One SGD step; clears the gradients.
  virtual void update(const SgdStep& step) = 0;
  /// The only call of a training step that must wait for the device.
  virtual StepMetrics metrics() = 0;
  /// Scores [count, classes] of the staged batch: running statistics, no dropping.
  virtual void infer(std::span<float> scores) = 0;
  /// Takes every parameter of the graph from `host` by name; momenta where present, else zero.
  /// Throws InvalidShape (names the tensor) where one is missing or of another shape.
  virtual void load(const Weights& host) = 0;
  /// All parameters; with `momenta` also those of the trainable ones.
  virtual Weights save(bool momenta = false) const = 0;
  /// Accumulated gradients by parameter name, for tests.
  virtual Weights gradients_by_name() const = 0;
};

/// Compiles graphs for one kind of device.
class Backend {
 public:
  virtual ~Backend() = default;
  /// The name that make_backend() takes, such as "cpu".
  virtual std::string name() const = 0;
  /// The name with what a person may want to know besides, such as the version of a library.
  virtual std::string description() const { return name(); }
  /// Of programs that were asked for `wanted`: that, or float32 where the backend or the processor
  /// has nothing else.
  virtual Precision precision(Precision wanted) const = 0;
  /// Throws OutOfMemory, Unsupported.
  virtual std::unique_ptr<Program> compile(const Graph& graph, const ProgramOptions& options) = 0;
  /// Bytes of device memory `compile` would take, without taking them.
  virtual MemoryEstimate estimate(const Graph& graph, const ProgramOptions& options) const = 0;
};

/// The backends of this build, best first: "cpu", "reference".
std::vector<std::string> backend_names();
/// The backend called `name`; "auto" is the first of backend_names(), and "onednn" is accepted as
/// another name of "cpu". Throws InvalidInput.
std::unique_ptr<Backend> make_backend(const std::string& name = "auto");

}  // namespace renas
