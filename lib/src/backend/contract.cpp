#include "backend/contract.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "renas/error.h"

namespace renas::contract {

namespace {

void check_shape(const Parameter& parameter, const std::string& name, const Tensor& tensor) {
  if (tensor.shape == parameter.shape &&
      static_cast<int64_t>(tensor.values.size()) == parameter.size()) {
    return;
  }
  throw InvalidShape(fmt::format(
      "weights: tensor '{}' has shape [{}] and {} values, the network "
      "expects [{}]",
      name, fmt::join(tensor.shape, ", "), tensor.values.size(), fmt::join(parameter.shape, ", ")));
}

}  // namespace

void check_program(const Graph& graph, const ProgramOptions& options) {
  if (options.batch < 1) {
    throw InvalidInput(
        fmt::format("backend: a batch holds 1 image or more, got {}", options.batch));
  }
  if (options.threads < 1) {
    throw InvalidInput(fmt::format("backend: threads must be 1 or more, got {}", options.threads));
  }
  int inputs = 0;
  int losses = 0;
  for (const Node& node : graph.nodes()) {
    inputs += node.kind == NodeKind::kInput ? 1 : 0;
    losses += node.kind == NodeKind::kCrossEntropy && !node.auxiliary ? 1 : 0;
  }
  if (inputs != 1) {
    throw InvalidInput(fmt::format("backend: a graph has one input, this one has {}", inputs));
  }
  if (graph.scores() < 0) {
    throw InvalidInput("backend: the graph names no scores; call Graph::set_scores");
  }
  const Shape& scores = graph.node(graph.scores()).shape;
  for (const Node& node : graph.nodes()) {
    if (!options.training || node.kind != NodeKind::kCrossEntropy) continue;
    const Shape& read = graph.node(node.inputs[0]).shape;
    if (read != scores) {
      throw InvalidShape(
          fmt::format("backend: labels are those of the scores ({}), but '{}' is of {}",
                      to_string(scores), node.name, to_string(read)));
    }
  }
  if (options.training && losses != 1) {
    throw InvalidInput(fmt::format(
        "backend: training needs one cross-entropy outside the auxiliary head, found {}", losses));
  }
  if (!options.parameter_groups.empty() &&
      options.parameter_groups.size() != graph.parameters().size()) {
    throw InvalidInput(
        fmt::format("backend: parameter_groups has {} entries, the graph has {} parameters",
                    options.parameter_groups.size(), graph.parameters().size()));
  }
}

std::size_t labels_per_image(const Graph& graph) {
  const Shape& scores = graph.node(graph.scores()).shape;
  return static_cast<std::size_t>(scores.height) * scores.width;
}

void check_batch(const HostBatch& batch, int capacity, int classes, bool with_labels,
                 std::size_t per_image) {
  if (batch.count < 1 || batch.count > capacity) {
    throw InvalidInput(
        fmt::format("batch: expected 1 to {} images, got {}", capacity, batch.count));
  }
  if (!with_labels) return;
  const std::size_t count = batch.count * per_image;
  for (std::size_t i = 0; i < count; ++i) {
    const int32_t label = batch.labels[i];
    if (label != kIgnored && (label < 0 || label >= classes)) {
      throw InvalidInput(fmt::format("batch: label {} of image {} is not one of 0 to {}", label,
                                     i / per_image, classes - 1));
    }
  }
}

int64_t counted_labels(std::span<const int32_t> labels, int64_t count) {
  const auto end = labels.begin() + count;
  return count - std::count(labels.begin(), end, kIgnored);
}

void check_scores(std::span<const float> scores, int count, int classes, std::size_t per_image) {
  const auto expected = count * per_image * classes;
  if (scores.size() < expected) {
    throw InvalidInput(fmt::format("infer: {} images of {} classes need {} scores, got room for {}",
                                   count, classes, expected, scores.size()));
  }
}

void load_parameters(
    const Graph& graph, const Weights& host,
    const std::function<void(int, std::span<const float>, std::span<const float>)>& take) {
  std::vector<std::span<const float>> values;
  std::vector<std::span<const float>> momenta;
  for (const Parameter& parameter : graph.parameters()) {
    const auto found = host.find(parameter.name);
    if (found == host.end()) {
      throw InvalidShape(fmt::format("weights: tensor '{}' [{}] is missing", parameter.name,
                                     fmt::join(parameter.shape, ", ")));
    }
    check_shape(parameter, parameter.name, found->second);
    values.emplace_back(found->second.values);
    const auto momentum = host.find(parameter.name + kMomentumSuffix);
    if (momentum == host.end()) {
      momenta.emplace_back();
    } else {
      check_shape(parameter, momentum->first, momentum->second);
      momenta.emplace_back(momentum->second.values);
    }
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    take(static_cast<int>(i), values[i], momenta[i]);
  }
}

void save_parameter(const Graph& graph, int i, const char* suffix, Weights& weights,
                    const std::function<void(std::span<float>)>& fill) {
  const Parameter& parameter = graph.parameter(i);
  Tensor tensor;
  tensor.shape = parameter.shape;
  tensor.values.resize(parameter.size());
  fill(tensor.values);
  weights.emplace(parameter.name + suffix, std::move(tensor));
}

std::vector<float> parameter_rates(const Graph& graph, const ProgramOptions& options,
                                   const SgdStep& step) {
  std::vector<float> rates;
  for (std::size_t i = 0; i < graph.parameters().size(); ++i) {
    const int group = options.parameter_groups.empty() ? 0 : options.parameter_groups[i];
    if (group < 0 || group >= std::ssize(step.learning_rates)) {
      throw InvalidInput(
          fmt::format("update: parameter '{}' is in group {}, but {} learning rates "
                      "were given",
                      graph.parameters()[i].name, group, step.learning_rates.size()));
    }
    rates.push_back(step.learning_rates[group]);
  }
  return rates;
}

std::vector<bool> needed_for_scores(const Graph& graph) {
  std::vector<bool> needed(graph.nodes().size(), false);
  needed[graph.scores()] = true;
  for (std::size_t i = needed.size(); i-- > 0;) {
    if (!needed[i]) continue;
    for (const int in : graph.nodes()[i].inputs) needed[in] = true;
  }
  return needed;
}

}  // namespace renas::contract
