#pragma once

#include <span>
#include <vector>

#include "renas/backend.h"

namespace renas::reference {

/// A network computed by plain loops in T, float or double. Tests compare the double one, whose
/// values can be read and changed in T, with finite differences. Everyone else sees the float one
/// as a Program.
template <class T>
class ReferenceProgram final : public Program {
 public:
  ReferenceProgram(const Graph& graph, const ProgramOptions& options);

  HostBatch& staging() override { return staging_; }
  void gradients(const StepScalars& step) override;
  void reduce(Reducer& reducer, int ranks) override;
  void update(const SgdStep& step) override;
  StepMetrics metrics() override;
  void infer(std::span<float> scores) override;
  void load(const Weights& host) override;
  Weights save(bool momenta) const override;
  Weights gradients_by_name() const override;

  /// The training loss of the staged batch: the sum over cross-entropy nodes of their weight times
  /// their mean. Leaves batch-norm statistics, gradients and metrics as they are.
  double loss(const StepScalars& step);
  /// The value of a node after gradients(), loss() or infer(), [count, C, H, W].
  std::span<const T> value(int node) const { return values_[node]; }
  /// d loss / d value of a node, after gradients().
  std::span<const T> value_gradient(int node) const { return value_gradients_[node]; }
  std::span<T> parameter(int i) { return parameters_[i]; }
  std::span<const T> parameter_gradient(int i) const { return gradients_[i]; }
  /// The images in T, [count, C, H, W], used instead of staging().images where not empty.
  std::vector<T>& exact_images() { return exact_images_; }

 private:
  enum class Mode { kTraining, kLossOnly, kInference };
  void forward(Mode mode, const StepScalars& step);
  void forward_node(int i, Mode mode, const StepScalars& step);
  void backward_node(int i, const StepScalars& step);
  void normalise(const Node& node, Mode mode);
  void entropy(const Node& node, Mode mode);
  void entropy_backward(const Node& node);
  int64_t label_count() const { return staging_.count * static_cast<int64_t>(per_image_); }
  /// The place of class k of the pixel of label i in scores [count, classes, H, W].
  int64_t pixel_offset(int64_t i, int classes, int k) const {
    const auto pixels = static_cast<int64_t>(per_image_);
    return (i / pixels * classes + k) * pixels + i % pixels;
  }
  /// Copies the scores of the pixel of label i, one a class.
  void read_pixel(const T* scores, int64_t i, std::vector<T>& to) const {
    const int classes = static_cast<int>(to.size());
    for (int k = 0; k < classes; ++k) to[k] = scores[pixel_offset(i, classes, k)];
  }
  const T* in(const Node& node, std::size_t k = 0) const { return values_[node.inputs[k]].data(); }
  T* in_gradient(const Node& node, std::size_t k = 0) {
    return value_gradients_[node.inputs[k]].data();
  }
  const Shape& in_shape(const Node& node, std::size_t k = 0) const {
    return graph_.node(node.inputs[k]).shape;
  }
  std::vector<T>& of(const Node& node, std::size_t k, std::vector<std::vector<T>>& all) const {
    return all[node.parameters[k]];
  }

  Graph graph_;
  ProgramOptions options_;
  int classes_;
  std::size_t per_image_;  // labels of an image
  std::vector<bool> needed_for_scores_;
  std::vector<float> images_;
  std::vector<int32_t> labels_;
  HostBatch staging_;
  std::vector<T> exact_images_;
  std::vector<std::vector<T>> values_;           // by node
  std::vector<std::vector<T>> value_gradients_;  // by node
  std::vector<std::vector<T>> parameters_;       // by parameter
  std::vector<std::vector<T>> gradients_;        // by parameter
  std::vector<std::vector<T>> momenta_;          // by parameter
  StepMetrics metrics_;
  double loss_ = 0;
};

std::unique_ptr<Backend> make_reference();

}  // namespace renas::reference
