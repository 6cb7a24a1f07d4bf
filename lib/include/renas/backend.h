#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "renas/device_link.h"
#include "renas/graph.h"
#include "renas/tensor.h"

namespace renas {

/// A Reducer sums arrays over the ranks of a data-parallel training. One rank alone needs none.
class Reducer {
 public:
  virtual ~Reducer() = default;
  /// Replaces `values` by their sum over all ranks. Called by all ranks in the same order.
  virtual void sum(std::span<float> values) = 0;
  /// Queues the same sum of `values` [size] in a device's memory on `stream`, a CUDA stream of that
  /// device. Returns false, on all ranks alike, where that is not to be had and nothing was done:
  /// the numbers then go through sum().
  virtual bool sum_on_device(float* /*values*/, std::size_t /*size*/, void* /*stream*/) {
    return false;
  }
};

/// How activations and their gradients are stored. kBfloat16 halves their memory and traffic; where
/// several layers read one map, their gradients are summed in bfloat16. Weights, weight gradients,
/// batch-norm statistics, scores and sums inside a layer stay float32. Where the processor
/// multiplies bfloat16, the operands of convolutions are rounded to it too, so results differ
/// between processors.
enum class Precision { kFloat32, kBfloat16 };
const char* to_string(Precision precision);  ///< "f32", "bf16"
/// Throws InvalidInput where `text` is neither.
Precision parse_precision(const std::string& text);

/// What computes, and how. Options that must be equal on all ranks hold a Device whose index is -1;
/// each rank fills in its own.
struct Device {
  std::string backend = "auto";  ///< a name that make_backend() takes
  int index = -1;                ///< which of this machine's devices; -1: the backend's choice
  int threads = 1;               ///< threads a program may use
  Precision precision = Precision::kFloat32;
  /// cuDNN: streams that parts of a network run on side by side; 0: the backend's choice. It
  /// changes no result.
  int streams = 0;
  /// cuDNN: a step's kernels are recorded as a CUDA graph; without, they are launched one by one,
  /// which a debugger follows more easily. It changes no result.
  bool graphs = true;
};

struct ProgramOptions {
  int batch = 64;        ///< the largest batch
  bool training = true;  ///< false: infer() only, less memory
  int threads = 1;       ///< threads the program may use
  Precision precision = Precision::kFloat32;
  /// Learning-rate group of each graph parameter, an index into SgdStep::learning_rates;
  /// empty: all in group 0.
  std::vector<int> parameter_groups = {};
  /// Batch norms keep to their running mean and variance in training too, and leave them as they
  /// are: for batches too small to measure them by. Their scales and shifts are learnt as ever.
  bool frozen_statistics = false;
};

/// The next batch, in host memory that the program owns.
struct HostBatch {
  std::span<float> images;  ///< [batch, H, W, C]
  /// Class indices [batch, label height, label width]: one for each pixel of the scores, which for
  /// classification is one for each image. Those of -1 (kIgnored) do not count: they add nothing to
  /// loss, gradients and metrics. Where none counts, loss and gradients are 0.
  std::span<int32_t> labels;
  int count = 0;  ///< images in it, 1 .. batch
};
inline constexpr int32_t kIgnored = -1;

/// What changes of the forward pass from step to step. Random masks are a function of (seed, step,
/// node, element) through philox(), the same in every backend.
struct StepScalars {
  uint64_t seed = 0;
  uint64_t step = 0;
  float drop_path = 1;  ///< times each kDropPath node's probability
};

/// One step of stochastic gradient descent: g = gradient + decay w; v = momentum v + g; w -=
/// learning_rate v. Only parameters with Parameter::decays() decay.
struct SgdStep {
  std::vector<float> learning_rates = {0.01F};  ///< by parameter group
  float momentum = 0.9F;
  float weight_decay = 3e-4F;
  bool nesterov = false;     ///< w -= learning_rate (g + momentum v) instead (Nesterov's momentum)
  bool decay_norms = false;  ///< scales, shifts and biases decay too

  /// The factor of the decay of `parameter`.
  float decay_of(const Parameter& parameter) const {
    return parameter.decays() || decay_norms ? weight_decay : 0.0F;
  }
};

/// Loss and accuracy of the main head, summed over the gradients() calls since the last metrics()
/// call.
struct StepMetrics {
  double loss = 0;  ///< total over labels that count, in nats, without the auxiliary head
  int64_t correct = 0;
  int64_t count = 0;  ///< labels that count: one an image, or one a pixel
};

struct MemoryEstimate {
  int64_t bytes = 0;
};

/// The roofline of a training step: the shortest time in which this machine could compute and move
/// what the step needs, and the measured peaks that it follows from.
struct Roofline {
  double seconds = 0;
  double peak_flops = 0;  ///< of float32, a second
  /// Of matrix products of bfloat16, a second; as peak_flops where there is no such instruction.
  double peak_bf16_flops = 0;
};

/// One network on one device. One thread at a time may call.
class Program {
 public:
  virtual ~Program() = default;
  /// The batch to fill: images, labels and count, before gradients() or infer(). Ask for it anew
  /// for each step: a program may have several and be reading the last one still.
  virtual HostBatch& staging() = 0;
  /// Runs forward and backward over the staged batch: adds to the gradients and updates the running
  /// statistics of batch norms.
  virtual void gradients(const StepScalars& step) = 0;
  /// Sums the gradients over ranks and divides them by their number. One rank alone need not call
  /// it.
  virtual void reduce(Reducer& reducer, int ranks) = 0;
  /// Takes one step of SGD and clears the gradients.
  virtual void update(const SgdStep& step) = 0;
  /// Returns the metrics and clears them. It is the only call of a training step that must wait for
  /// the device.
  virtual StepMetrics metrics() = 0;
  /// How many steps to take between two calls of metrics(), so that waiting costs little.
  virtual int steps_between_metrics() const { return 1; }
  /// Computes scores [count, classes] of the staged batch, or [count, H, W, classes] where the
  /// scores are maps, with running statistics and without dropping.
  virtual void infer(std::span<float> scores) = 0;
  /// Takes every parameter of the graph from `host` by name; momenta where present, else zero.
  /// Throws InvalidShape (names the tensor) where one is missing or of another shape.
  virtual void load(const Weights& host) = 0;
  /// Returns all parameters; with `momenta` also those of the trainable ones.
  virtual Weights save(bool momenta = false) const = 0;
  /// Returns the accumulated gradients by parameter name, for tests.
  virtual Weights gradients_by_name() const = 0;
  /// Measures this machine, which takes about a second, and returns how fast a training step over
  /// `images` images could be. nullopt where the backend does not count its work.
  virtual std::optional<Roofline> roofline(int /*images*/) const { return std::nullopt; }
};

/// Compiles graphs for one kind of device.
class Backend {
 public:
  virtual ~Backend() = default;
  /// The name that make_backend() takes, such as "cpu".
  virtual std::string name() const = 0;
  /// The name with what a person may want to know besides, such as the version of a library.
  virtual std::string description() const { return name(); }
  /// The precision that a program compiled with `wanted` will use: `wanted`, or float32 where the
  /// backend has nothing else.
  virtual Precision precision(Precision wanted) const = 0;
  /// Compiles a graph. Throws OutOfMemory, Unsupported.
  virtual std::unique_ptr<Program> compile(const Graph& graph, const ProgramOptions& options) = 0;
  /// The device memory that compile() would take, without taking it.
  virtual MemoryEstimate estimate(const Graph& graph, const ProgramOptions& options) const = 0;

  /// Whether this rank's device can be linked to those of other ranks.
  virtual DeviceLinkOffer device_link_offer() { return {}; }
  /// A name for a new link, which one rank makes for all. Only where the offer lacks nothing.
  virtual std::string make_link_id();
  /// Links this rank's device to those of the other ranks, which make the same call with the same
  /// `id`. Waits for them, here as in the link's calls, and then asks `keep_waiting` about a
  /// thousand times a second, which throws where the wait is to end. Throws Error where the devices
  /// cannot be linked.
  virtual std::unique_ptr<DeviceLink> link_devices(const std::string& id, int rank, int ranks,
                                                   std::function<void()> keep_waiting);
};

/// The backends that this build has and this machine can use, best first: "cudnn", "cpu",
/// "reference".
std::vector<std::string> backend_names();
/// Why "auto" takes no GPU here, in a sentence; empty where it takes one, and where this build has
/// no backend for GPUs.
std::string why_no_gpu();
/// The backend of `device`; "auto" is the first of backend_names(), and "onednn" is accepted as
/// another name of "cpu". "check:SUBJECT,WITNESS", such as "check:cudnn,cpu", computes everything
/// by both, returns the subject's results, and throws Error where the witness disagrees. Throws
/// InvalidInput where the build has no such backend, or the backend no such device.
std::unique_ptr<Backend> make_backend(const Device& device = {});

/// A device of this machine that a process can have for itself.
struct DeviceInfo {
  int index = 0;     ///< as Device::index
  std::string name;  ///< of the card
  std::string uuid;  ///< the same in every process that sees the card, whatever its number there
};
/// The GPUs that the backend of that name, or "auto", would use here. None for backends that
/// compute on processor cores.
std::vector<DeviceInfo> list_devices(const std::string& backend);

}  // namespace renas
