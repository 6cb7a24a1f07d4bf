#include "search/critic/deficits.h"

#include <cmath>

#include "renas/error.h"

namespace renas::search {

void Deficits::add(const Descent& descent) {
  Node node;
  node.id = descent.id;
  if (descent.parent && descent.inherited > 0) {
    const double h = std::log2(1.0 + descent.changes);
    const std::array<double, 3> x{1, h, 1 - descent.inherited};
    node.own = h * h;
    for (std::size_t i = nodes_.size(); i-- > 0 && node.parent < 0;) {
      if (nodes_[i].id == *descent.parent) node.parent = static_cast<int64_t>(i);
    }
    for (std::size_t r = 0; r < kRecoveries.size(); ++r) {
      Trace& trace = node.traces[r];
      trace.x = x;
      trace.variance = node.own;
      if (node.parent < 0) continue;
      const Trace& parent = nodes_[static_cast<std::size_t>(node.parent)].traces[r];
      for (std::size_t k = 0; k < x.size(); ++k) trace.x[k] += kRecoveries[r] * parent.x[k];
      trace.variance += kRecoveries[r] * kRecoveries[r] * parent.variance;
    }
  }
  nodes_.push_back(node);
}

void Deficits::drop(const std::vector<bool>& dropped) {
  std::vector<int64_t> moved(nodes_.size(), -1);
  std::vector<Node> kept;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (dropped[i]) continue;
    moved[i] = static_cast<int64_t>(kept.size());
    kept.push_back(nodes_[i]);
    int64_t& parent = kept.back().parent;
    if (parent >= 0) parent = moved[static_cast<std::size_t>(parent)];
  }
  nodes_ = std::move(kept);
}

void Deficits::set(double shock, int recovery) {
  shock_ = shock;
  recovery_ = static_cast<std::size_t>(recovery);
}

double Deficits::noise_covariance(std::size_t i, std::size_t j) const {
  // The later one goes up its line until both are one: that ancestor's noise is common to both.
  // What is cut off must stay below the least noise, or the covariances are not positive definite.
  constexpr double kNegligible = 1e-5;
  double factor = 1;
  auto a = static_cast<int64_t>(i);
  auto b = static_cast<int64_t>(j);
  while (a != b) {
    int64_t& later = a > b ? a : b;
    later = nodes_[static_cast<std::size_t>(later)].parent;
    factor *= kRecoveries[recovery_];
    if (later < 0 || factor < kNegligible) return 0;
  }
  return factor * nodes_[static_cast<std::size_t>(a)].traces[recovery_].variance;
}

double Deficits::covariance(std::size_t i, std::size_t j) const {
  const Trace& a = nodes_[i].traces[recovery_];
  const Trace& b = nodes_[j].traces[recovery_];
  double dot = 0;
  for (std::size_t k = 0; k < a.x.size(); ++k) dot += a.x[k] * b.x[k];
  double sum = kMeanVariance + kSlopeVariance * dot;
  if (a.variance > 0 && b.variance > 0) sum += shock_ * shock_ * noise_covariance(i, j);
  return sum;
}

std::vector<double> Deficits::times(std::span<const double> w) const {
  std::array<double, 3> slope{};
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    for (std::size_t k = 0; k < slope.size(); ++k) {
      slope[k] += kSlopeVariance * w[i] * nodes_[i].traces[recovery_].x[k];
    }
  }
  // Up the lines: what w sums to over the descendants of a result. Down again: the shocks.
  const double recovery = kRecoveries[recovery_];
  std::vector<double> below(w.begin(), w.end());
  for (std::size_t i = nodes_.size(); i-- > 0;) {
    if (nodes_[i].parent >= 0)
      below[static_cast<std::size_t>(nodes_[i].parent)] += recovery * below[i];
  }
  std::vector<double> shocks(nodes_.size());
  std::vector<double> sums;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const Node& node = nodes_[i];
    const Trace& trace = node.traces[recovery_];
    shocks[i] = node.parent < 0 ? trace.variance * below[i]
                                : node.own * below[i] +
                                      recovery * shocks[static_cast<std::size_t>(node.parent)];
    double sum = shock_ * shock_ * shocks[i];
    for (std::size_t k = 0; k < slope.size(); ++k) sum += slope[k] * trace.x[k];
    sums.push_back(sum);
  }
  return sums;
}

void Deficits::save(StateWriter& writer, const std::string& name) const {
  std::vector<uint64_t> ids;
  std::vector<int64_t> parents;
  std::vector<double> numbers;
  for (const Node& node : nodes_) {
    ids.push_back(node.id);
    parents.push_back(node.parent);
    numbers.push_back(node.own);
    for (const Trace& trace : node.traces) {
      numbers.insert(numbers.end(), trace.x.begin(), trace.x.end());
      numbers.push_back(trace.variance);
    }
  }
  writer.put(name + "/id", ids);
  writer.put(name + "/parent", parents);
  writer.put(name + "/trace", numbers);
}

void Deficits::load(const StateReader& reader, const std::string& name, std::size_t count) {
  constexpr std::size_t kNumbers = 1 + 4 * kRecoveries.size();
  const auto& ids = reader.words(name + "/id", count);
  const auto& parents = reader.ints(name + "/parent", count);
  const auto& numbers = reader.doubles(name + "/trace", count * kNumbers);
  std::vector<Node> nodes(count);
  for (std::size_t i = 0; i < count; ++i) {
    if (parents[i] < -1 || parents[i] >= static_cast<int64_t>(i)) {
      throw InvalidInput("search state: array '" + name + "/parent' holds no earlier result");
    }
    const double* number = numbers.data() + i * kNumbers;
    nodes[i].id = ids[i];
    nodes[i].parent = parents[i];
    nodes[i].own = *number++;
    for (Trace& trace : nodes[i].traces) {
      for (double& x : trace.x) x = *number++;
      trace.variance = *number++;
    }
  }
  nodes_ = std::move(nodes);
}

}  // namespace renas::search
