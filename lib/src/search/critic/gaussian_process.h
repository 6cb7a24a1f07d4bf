#pragma once

#include <cstddef>
#include <memory>

namespace renas::search {

/// The linear algebra of a Gaussian process that grows point by point: the Cholesky factor L of its
/// covariance, one row a point (Rasmussen and Williams 2006, algorithm 2.1).
class GaussianProcess {
 public:
  virtual ~GaussianProcess() = default;
  virtual std::size_t size() const = 0;
  virtual void clear() = 0;
  /// Adds a point. covariance [size() before]: with the earlier points; variance: its own, noise
  /// included.
  virtual void append(const double* covariance, double variance) = 0;
  /// weights = (L L^T)^-1 y, both [size()]. Returns the log-likelihood of y, less its constant.
  virtual double solve(const double* y, double* weights) = 0;
  /// v = L^-1 v in place, v [size(), columns].
  virtual void solve_lower(double* v, std::size_t columns) const = 0;
};

/// Picks the instructions this processor has.
std::unique_ptr<GaussianProcess> make_gaussian_process();

}  // namespace renas::search
