#pragma once

#include <cstddef>
#include <memory>

namespace renas::search {

/// Gaussian process regression that grows point by point (Rasmussen and Williams 2006, algorithm
/// 2.1). It holds the Cholesky factor L of the points' covariance matrix, one row for each point;
/// the caller computes the covariances.
class GaussianProcess {
 public:
  virtual ~GaussianProcess() = default;
  /// The number of points.
  virtual std::size_t size() const = 0;
  /// Removes all points.
  virtual void clear() = 0;
  /// Adds a point.
  ///
  /// covariance  [size() before], with each earlier point
  /// variance    of the point itself, noise included
  virtual void append(const double* covariance, double variance) = 0;
  /// Computes weights = (L L^T)^-1 y, both [size()]: the predicted mean of a new point is the dot
  /// product of these weights and its covariances. Returns the log marginal likelihood of y without
  /// its constant term.
  virtual double solve(const double* y, double* weights) = 0;
  /// Replaces v [size(), columns] by L^-1 v. If a column holds the covariances of a new point, the
  /// sum of its squares is what the observations take off the variance of the point.
  virtual void solve_lower(double* v, std::size_t columns) const = 0;
};

/// Makes a process without points.
std::unique_ptr<GaussianProcess> make_gaussian_process();

}  // namespace renas::search
