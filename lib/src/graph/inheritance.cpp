#include <algorithm>
#include <cmath>

#include "renas/network.h"

namespace renas {

namespace {

constexpr double kLinearDeviation = 0.01;

/// Draws the initial values of a parameter.
Tensor new_tensor(const Parameter& p, Random& random) {
  Tensor tensor;
  tensor.shape = p.shape;
  tensor.values.assign(p.size(), 0.0F);
  switch (p.role) {
    case ParameterRole::kConvWeight:
    case ParameterRole::kLinearWeight: {
      const double deviation = p.role == ParameterRole::kConvWeight
                                   ? std::sqrt(2.0 / static_cast<double>(p.fan_in))
                                   : kLinearDeviation;
      for (float& value : tensor.values) {
        value = static_cast<float>(deviation * random.normal());
      }
      break;
    }
    case ParameterRole::kScale:
    case ParameterRole::kVariance:
      std::fill(tensor.values.begin(), tensor.values.end(), 1.0F);
      break;
    case ParameterRole::kShift:
    case ParameterRole::kMean:
    case ParameterRole::kBias:
      break;
  }
  return tensor;
}

/// Copies the groups of input channels that parent and child have in common from `from`, the
/// parent's weight, to `to`, the child's. Returns how many numbers were copied.
int64_t copy_columns(const Parameter& child, Tensor& to, const Parameter& parent,
                     const Tensor& from) {
  if (child.shape[0] != parent.shape[0]) {
    return 0;
  }
  int64_t kernel = 1;  // numbers for each pair of output and input channel
  for (std::size_t d = 2; d < child.shape.size(); ++d) {
    if (child.shape[d] != parent.shape[d]) {
      return 0;
    }
    kernel *= child.shape[d];
  }
  int64_t copied = 0;
  int64_t child_at = 0;
  for (const ColumnGroup& group : child.columns) {
    int64_t parent_at = 0;
    for (const ColumnGroup& source : parent.columns) {
      if (source == group) {
        for (int64_t out = 0; out < child.shape[0]; ++out) {
          const auto* begin = from.values.data() + (out * parent.shape[1] + parent_at) * kernel;
          std::copy_n(begin, group.channels * kernel,
                      to.values.data() + (out * child.shape[1] + child_at) * kernel);
        }
        copied += child.shape[0] * group.channels * kernel;
        break;
      }
      parent_at += source.channels;
    }
    child_at += group.channels;
  }
  return copied;
}

}  // namespace

Weights initialize(const Graph& graph, Random& random) {
  Weights weights;
  for (const Parameter& p : graph.parameters()) {
    weights[p.name] = new_tensor(p, random);
  }
  return weights;
}

Inheritance inherit(const Graph& child, const Graph& parent, const Weights& parent_weights,
                    Random& random) {
  std::map<std::string, const Parameter*> in_parent;
  for (const Parameter& p : parent.parameters()) {
    in_parent[p.name] = &p;
  }

  Inheritance result;
  int64_t inherited = 0;
  int64_t total = 0;
  for (const Parameter& p : child.parameters()) {
    const auto place = in_parent.find(p.name);
    const auto tensor = parent_weights.find(p.name);
    const bool exists = place != in_parent.end() && tensor != parent_weights.end() &&
                        tensor->second.shape == place->second->shape;
    int64_t taken = 0;
    if (exists && place->second->shape == p.shape && place->second->columns == p.columns) {
      result.weights[p.name] = tensor->second;
      taken = p.size();
    } else {
      Tensor& fresh = result.weights[p.name] = new_tensor(p, random);
      if (exists && !p.columns.empty()) {
        taken = copy_columns(p, fresh, *place->second, tensor->second);
      }
    }
    result.inherited.push_back(taken == p.size());
    if (p.trainable()) {
      inherited += taken;
      total += p.size();
    }
  }
  result.share = total == 0 ? 0 : static_cast<double>(inherited) / static_cast<double>(total);
  return result;
}

}  // namespace renas
