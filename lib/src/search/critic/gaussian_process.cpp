#include "search/critic/gaussian_process.h"

#define EIGEN_DONT_PARALLELIZE
#define EIGEN_NO_DEBUG
#include <Eigen/Core>
#include <algorithm>
#include <cmath>

namespace renas::search {

namespace {

class EigenGaussianProcess final : public GaussianProcess {
  using Vector = Eigen::VectorXd;
  using Map = Eigen::Map<Vector>;
  using ConstMap = Eigen::Map<const Vector>;
  using Index = Eigen::Index;

 public:
  std::size_t size() const override { return n_; }
  void clear() override { n_ = 0; }

  void append(const double* covariance, double variance) override {
    const Index needed = start(n_ + 1);
    if (needed > rows_.size()) {
      rows_.conservativeResize(2 * needed);
    }
    Map row(rows_.data() + start(n_), n_ + 1);
    for (Index j = 0; j < n_; ++j) {
      row[j] = (covariance[j] - row.head(j).dot(lower(j).head(j))) / lower(j)[j];
    }
    // For a point that repeats another, rounding may leave less than its noise, or a negative
    // number.
    row[n_] = std::sqrt(std::max(1e-9, variance - row.head(n_).squaredNorm()));
    ++n_;
  }

  double solve(const double* y, double* weights) override {
    double likelihood = 0;
    Map w(weights, n_);
    for (Index i = 0; i < n_; ++i) {
      w[i] = (y[i] - lower(i).head(i).dot(w.head(i))) / lower(i)[i];
      likelihood -= 0.5 * w[i] * w[i] + std::log(lower(i)[i]);
    }
    for (Index i = n_ - 1; i >= 0; --i) {
      w[i] /= lower(i)[i];
      w.head(i) -= w[i] * lower(i).head(i);
    }
    return likelihood;
  }

  void solve_lower(double* v, std::size_t columns) const override {
    solve_lower<16>(v, columns, columns);
  }

 private:
  // Solves for the last `left` of `columns` columns, kWide at a time, whose sums stay in registers
  // while a row of L is gone through.
  template <int kWide>
  void solve_lower(double* v, std::size_t columns, std::size_t left) const {
    using Sums = Eigen::Array<double, kWide, 1>;
    const Index stride = static_cast<Index>(columns);
    for (; left >= kWide; left -= kWide, v += kWide) {
      for (Index i = 0; i < n_; ++i) {
        const ConstMap factors = lower(i);
        Eigen::Map<Sums> row(v + i * stride);
        Sums sums = row;
        for (Index j = 0; j < i; ++j) {
          sums -= factors[j] * Eigen::Map<const Sums>(v + j * stride);
        }
        row = sums / factors[i];
      }
    }
    if constexpr (kWide > 1) solve_lower<kWide / 2>(v, columns, left);
  }

  // The offset of a row in the packed triangle.
  static Index start(Index row) { return row * (row + 1) / 2; }
  // One row of L, up to its diagonal.
  ConstMap lower(Index row) const { return {rows_.data() + start(row), row + 1}; }

  Index n_ = 0;
  Vector rows_;  // L, a packed lower triangle
};

}  // namespace

std::unique_ptr<GaussianProcess> make_gaussian_process() {
  return std::make_unique<EigenGaussianProcess>();
}

}  // namespace renas::search
