#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "backend/cudnn/kernels/args.h"
#include "backend/cudnn/memory.h"
#include "backend/cudnn/streams.h"
#include "renas/backend.h"

namespace renas::cudnn {

/// The parameters of one program in device memory: values and, with `training`, gradients and
/// momenta, each one array of all parameters in the graph's order. Keeps a reference to the graph.
class Parameters {
 public:
  Parameters(const Graph& graph, const ProgramOptions& options);

  /// Takes their memory, and that of the runs of SGD, from `layout`.
  void bind(Layout& layout);

  float* values(int i) const { return values_ + at(i); }
  float* gradient(int i) const { return gradients_ + at(i); }
  /// The first element of parameter i, in floats from the first parameter.
  std::size_t offset(int i) const { return at(i); }
  float* all_values() const { return values_; }
  float* all_gradients() const { return gradients_; }

  /// Sets everything to zero.
  void clear(const Stream& stream);
  /// One step of SGD with a learning rate for each group; clears the gradients.
  void update(const Launch& launch, const SgdStep& step);
  /// Sums the gradients over ranks and divides them by their number.
  void reduce(const Launch& launch, const Stream& stream, Reducer& reducer, int ranks);

  // See Program. They wait for the device.
  void load(const Weights& host, const Stream& stream);
  Weights save(bool momenta, const Stream& stream) const;
  Weights gradients_by_name(const Stream& stream) const;

 private:
  std::size_t at(int i) const { return offsets_[static_cast<std::size_t>(i)]; }
  std::vector<float> fetch(const float* from, const Stream& stream) const;

  const Graph& graph_;
  const bool training_;
  std::vector<std::size_t> offsets_;  // by parameter, floats
  std::size_t size_ = 0;              // of an array, floats
  std::vector<SgdRun> runs_;
  int rate_groups_ = 1;
  float* values_ = nullptr;
  float* gradients_ = nullptr;  // nullptr: the program only infers
  float* momenta_ = nullptr;
  const SgdRun* device_runs_ = nullptr;
  float* rates_ = nullptr;  // [rate_groups_]
};

}  // namespace renas::cudnn
