#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "search/state_io.h"

namespace renas::search {

/// How a result came about, as far as it bears on its fitness.
struct Descent {
  uint64_t id = 0;                 ///< of the candidate
  std::optional<uint64_t> parent;  ///< whose weights it inherited
  int changes = 0;                 ///< slots in which it differs from its parent
  double inherited = 0;            ///< share of its weights that the parent gave; 0: from scratch
};

/// The shares of a parent's deficit that its child may keep.
inline constexpr std::array<double, 3> kRecoveries{0.25, 0.5, 0.75};

/// The deficits of results: what their fitness lacks because they were trained shortly, from
/// weights that were tuned to another cell. A result without inheritance has none. A child has
///
///   deficit = recovery * parent's deficit + b . x + shock * h * noise
///
/// x  = (1, h, 1 - inherited share), with h = log2(1 + changes), which grows as the drops that were
///      measured on real cells do
/// b  unknown, with a wide normal prior
///
/// All of it is normal, so that a Gaussian process can hold it beside the effects of genomes. This
/// class gives its covariances. A deficit is a sum over a result's line: `traces` hold the summed
/// x, and the variance of the summed noise, for each recovery.
class Deficits {
 public:
  /// Adds a result; its parent, if it is known, was added before.
  void add(const Descent& descent);
  std::size_t size() const { return nodes_.size(); }
  /// The candidate of a result.
  uint64_t id(std::size_t i) const { return nodes_[i].id; }
  /// Drops the results for which `dropped` is true. Their children keep what they inherited.
  void drop(const std::vector<bool>& dropped);

  /// Sets the hyper-parameters: `shock`, and `recovery` as an index into kRecoveries.
  void set(double shock, int recovery);
  /// The covariance of the deficits of results i and j, and of the mean that all results share.
  double covariance(std::size_t i, std::size_t j) const;
  /// For weights w of a process: the sum over j of the deficit's covariance of i and j times w_j,
  /// for each i, without the mean that all results share.
  std::vector<double> times(std::span<const double> w) const;

  void save(StateWriter& writer, const std::string& name) const;
  void load(const StateReader& reader, const std::string& name, std::size_t count);

 private:
  static constexpr double kMeanVariance = 9;   // prior of the mean, in variances of effects
  static constexpr double kSlopeVariance = 4;  // prior of each b
  struct Trace {
    std::array<double, 3> x{};
    double variance = 0;
  };
  struct Node {
    uint64_t id = 0;
    int64_t parent = -1;  // a number of a node; -1: none, or not remembered
    double own = 0;       // h^2 of the result itself
    std::array<Trace, kRecoveries.size()> traces;
  };

  /// The covariance of the summed noise of i and j, in units of shock^2.
  double noise_covariance(std::size_t i, std::size_t j) const;

  std::vector<Node> nodes_;
  double shock_ = 0.5;
  std::size_t recovery_ = 1;
};

}  // namespace renas::search
