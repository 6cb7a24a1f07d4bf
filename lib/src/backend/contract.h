#pragma once

#include <functional>
#include <span>
#include <vector>

#include "renas/backend.h"

/// Checks and conversions that are the same in every backend.
namespace renas::contract {

/// Throws InvalidInput unless the graph has one input, scores of 1x1xclasses, and, for training, a
/// cross-entropy outside the auxiliary head; and unless `options` fit it.
void check_program(const Graph& graph, const ProgramOptions& options);

/// Throws InvalidInput unless 1 <= count <= capacity and the first `count` labels are classes.
/// `with_labels` is false for inference.
void check_batch(const HostBatch& batch, int capacity, int classes, bool with_labels);

/// Throws InvalidInput unless `scores` holds count * classes numbers.
void check_scores(std::span<const float> scores, int count, int classes);

/// Calls take(parameter index, values, momenta) for each parameter of `graph`, momenta empty where
/// `host` has none. Throws InvalidShape, before the first call, where a tensor is missing or of
/// another shape; the message names it.
void load_parameters(
    const Graph& graph, const Weights& host,
    const std::function<void(int, std::span<const float>, std::span<const float>)>& take);

/// A tensor of parameter `i`'s shape, filled by `fill`, under the parameter's name + `suffix`.
void save_parameter(const Graph& graph, int i, const char* suffix, Weights& weights,
                    const std::function<void(std::span<float>)>& fill);

/// The learning rate of each parameter. Throws InvalidInput where a group has none.
std::vector<float> parameter_rates(const Graph& graph, const ProgramOptions& options,
                                   const SgdStep& step);

/// For each node, whether the scores depend on it: what inference runs.
std::vector<bool> needed_for_scores(const Graph& graph);

}  // namespace renas::contract
