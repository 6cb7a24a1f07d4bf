#pragma once

#include <cudnn_graph.h>

#include <compare>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "renas/backend.h"
#include "renas/graph.h"

/// Dense convolutions by cuDNN, through its graph interface.
namespace renas::cudnn {

/// Does nothing if `status` is CUDNN_STATUS_SUCCESS. Otherwise throws Error with `what` and cuDNN's
/// own words.
void check(cudnnStatus_t status, const char* what);

/// cuDNN's context of the current device. Descriptors and plans outlive it; executing one needs it.
class CudnnHandle {
 public:
  CudnnHandle();
  cudnnHandle_t get() const { return handle_.get(); }

 private:
  struct Destroy {
    void operator()(cudnnHandle_t handle) const { cudnnDestroy(handle); }
  };
  std::unique_ptr<cudnnContext, Destroy> handle_;
};

enum class ConvDirection {
  kForward,         ///< y of x and w
  kDataGradient,    ///< dx of dy and w
  kWeightGradient,  ///< dw of dy and x
};

/// A dense convolution: everything that a plan depends on. Maps are [batch, height, width,
/// channels], and neighbouring pixels lie `pitch` numbers apart; weights are [out, kernel height,
/// kernel width, in].
struct ConvShape {
  ConvDirection direction = ConvDirection::kForward;
  Precision precision = Precision::kFloat32;  ///< of maps and weights; sums are float32
  bool adds = false;  ///< to what the result holds, instead of overwriting it
  int batch = 1;
  int height = 1;
  int width = 1;
  int in_channels = 1;
  int in_pitch = 1;
  int out_channels = 1;
  int out_pitch = 1;
  Window window = {};

  auto operator<=>(const ConvShape&) const = default;
};

/// "weight gradient of 3x3, 24 > 48, 64x32x32, stride 2x2, f32".
std::string to_string(const ConvShape& shape);

/// Where plans are to run.
struct ConvTarget {
  cudnnHandle_t handle = nullptr;
  /// cuDNN's description of a card in JSON, instead of a handle: such plans can be made where there
  /// is no card, and not be executed. Wants cuDNN 9.8.
  std::string described_card;
  /// Engines that need more memory than this are left out.
  std::int64_t max_workspace_bytes = 64 << 20;
};

/// A descriptor of cuDNN's backend interface.
class CudnnDescriptor {
 public:
  explicit CudnnDescriptor(cudnnBackendDescriptorType_t type);
  CudnnDescriptor& set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                       std::int64_t count, const void* values);
  CudnnDescriptor& set(cudnnBackendAttributeName_t name, const CudnnDescriptor& value);
  CudnnDescriptor& set(cudnnBackendAttributeName_t name, const std::vector<std::int64_t>& values);
  CudnnDescriptor& finalize();
  cudnnBackendDescriptor_t get() const { return descriptor_.get(); }

 private:
  struct Destroy {
    void operator()(void* descriptor) const { cudnnBackendDestroyDescriptor(descriptor); }
  };
  std::unique_ptr<void, Destroy> descriptor_;
};

/// One of cuDNN's ways to compute a convolution.
struct ConvEngine {
  std::int64_t index = -1;
  std::vector<cudnnBackendNumericalNote_t> numerical_notes;
  std::vector<cudnnBackendBehaviorNote_t> behavior_notes;
};

/// What may not compute a convolution: what gives other bits every run, what is compiled when a
/// plan is made, which takes seconds, and for float32 what rounds to less on the way.
bool is_allowed(const ConvEngine& engine, Precision precision);

/// A convolution that is ready to run. cuDNN's heuristics rank the engines, and the first that is
/// allowed and can is taken: the same on equal cards, without timing anything.
class ConvPlan {
 public:
  /// `layer` names the convolution in messages. Throws Unsupported where no engine is left.
  ConvPlan(const ConvShape& shape, const ConvTarget& target, const std::string& layer = "");

  std::int64_t workspace_bytes() const { return workspace_bytes_; }
  const ConvEngine& engine() const { return engine_; }

  /// Runs it on `stream`, which becomes the handle's. `x`, `w` and `y` are maps and weights or, in
  /// their place, the gradient that is read or written; all 16-byte aligned. `workspace` has
  /// workspace_bytes().
  void execute(cudnnHandle_t handle, cudaStream_t stream, const void* x, const void* w,
               const void* y, void* workspace) const;

 private:
  struct Candidate;
  std::vector<Candidate> candidates(const CudnnDescriptor& graph,
                                    cudnnBackendHeurMode_t mode) const;

  ConvEngine engine_;
  std::int64_t workspace_bytes_ = 0;
  // Nothing says that cuDNN copies what a plan was made from.
  std::vector<CudnnDescriptor> parts_;
  std::unique_ptr<CudnnDescriptor> card_;
  std::unique_ptr<CudnnDescriptor> plan_;
};

}  // namespace renas::cudnn
