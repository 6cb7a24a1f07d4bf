#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <span>
#include <vector>

#include "renas/backend.h"

/// What is the same in every backend: constants, rules, checks and conversions.
namespace renas::contract {

/// Batch norm: y = scale (x - mean) / sqrt(variance + kBatchNormEpsilon) + shift. In training,
/// variance is the biased one of the batch.
inline constexpr double kBatchNormEpsilon = 1e-5;
/// Running mean and variance: r = kBatchNormMomentum r + (1 - kBatchNormMomentum) b, where b is the
/// batch's mean or unbiased variance.
inline constexpr double kBatchNormMomentum = 0.9;

/// True if the largest of the `classes` scores, the first among equals, is that of `label`. A
/// network whose largest score is no finite number answers nothing right.
template <class T>
bool correct(const T* scores, int classes, int label) {
  const T* best = std::max_element(scores, scores + classes);
  return std::isfinite(*best) && best - scores == label;
}

/// Checks a graph before it is compiled. Throws InvalidInput unless it has one input, scores and,
/// for training, a cross-entropy outside the auxiliary head, and `options` fit it.
void check_program(const Graph& graph, const ProgramOptions& options);

/// The labels of an image: one for each pixel of the scores.
std::size_t labels_per_image(const Graph& graph);

/// Checks a staged batch. Throws InvalidInput unless 1 <= count <= capacity and, `with_labels`, the
/// labels of the first `count` images, `per_image` each, are classes or kIgnored. Inference needs
/// no labels.
void check_batch(const HostBatch& batch, int capacity, int classes, bool with_labels,
                 std::size_t per_image = 1);

/// How many of the first `count` labels count, those of kIgnored not among them.
int64_t counted_labels(std::span<const int32_t> labels, int64_t count);

/// The factor of the loss of a label at a cross-entropy `node`.
inline double class_weight(const Node& node, int32_t label) {
  return node.class_weights.empty() ? 1.0
                                    : double{node.class_weights[static_cast<std::size_t>(label)]};
}

/// Checks the memory for scores. Throws InvalidInput unless it holds count * per_image * classes
/// numbers.
void check_scores(std::span<const float> scores, int count, int classes, std::size_t per_image = 1);

/// Calls take(parameter index, values, momenta) for each parameter of `graph`, momenta empty where
/// `host` has none. Throws InvalidShape, before the first call, where a tensor is missing or of
/// another shape; the message names it.
void load_parameters(
    const Graph& graph, const Weights& host,
    const std::function<void(int, std::span<const float>, std::span<const float>)>& take);

/// Adds a tensor of parameter `i`'s shape to `weights`, under the parameter's name + `suffix`.
/// `fill` sets its values.
void save_parameter(const Graph& graph, int i, const char* suffix, Weights& weights,
                    const std::function<void(std::span<float>)>& fill);

/// Returns the learning rate of each parameter. Throws InvalidInput where a parameter group has
/// none.
std::vector<float> parameter_rates(const Graph& graph, const ProgramOptions& options,
                                   const SgdStep& step);

/// Returns for each node whether the scores depend on it. Inference runs only these.
std::vector<bool> needed_for_scores(const Graph& graph);

}  // namespace renas::contract
