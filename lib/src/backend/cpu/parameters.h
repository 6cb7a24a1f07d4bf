#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "backend/cpu/memory.h"
#include "backend/cpu/threads.h"
#include "renas/backend.h"

namespace renas::cpu {

/// The parameters of one program in aligned memory, as dense tensors in the graph's layout. With
/// `training` also their gradients and momenta. Keeps a reference to the graph.
class Parameters {
 public:
  Parameters(const Graph& graph, bool training);

  float* values(int i) const { return values_.data() + at(i); }
  float* gradient(int i) const { return gradients_.data() + at(i); }

  /// One step of SGD with a learning rate for each parameter; clears the gradients.
  void update(const SgdStep& step, const std::vector<float>& rates, Threads& threads);
  /// Sums the gradients over ranks and divides them by their number.
  void reduce(Reducer& reducer, int ranks);
  /// See Program::load(), save() and gradients_by_name().
  void load(const Weights& host);
  Weights save(bool momenta) const;
  Weights gradients_by_name() const;

 private:
  std::size_t at(int i) const { return offsets_[i]; }
  std::span<const float> tensor(const Buffer& buffer, int i) const;

  const Graph& graph_;
  std::vector<std::size_t> offsets_;  // by parameter, floats
  Buffer values_, gradients_, momenta_;
};

}  // namespace renas::cpu
