#pragma once

#include <cmath>
#include <span>
#include <vector>

#include "renas/random.h"

namespace renas::search {

/// One decision of the controller: a softmax over squashed logits z = 2.5 tanh(y / 5) (paper,
/// section 5.1.3), with its gradient.
template <class T>
class SoftmaxDecision {
 public:
  static constexpr T kRange = T(2.5);
  static constexpr T kTemperature = T(5);

  /// Starts a new decision.
  void clear() { y_.clear(); }
  /// Adds the logit of the next option.
  void add(T y) { y_.push_back(y); }
  int size() const { return static_cast<int>(y_.size()); }

  /// Computes the probabilities from the logits added since clear().
  void finish() {
    const std::size_t n = y_.size();
    p_.resize(n);
    squash_.resize(n);
    T highest = -kRange;
    for (std::size_t i = 0; i < n; ++i) {
      squash_[i] = std::tanh(y_[i] / kTemperature);
      p_[i] = kRange * squash_[i];
      if (p_[i] > highest) {
        highest = p_[i];
      }
    }
    T sum = 0;
    for (T& p : p_) {
      sum += p = std::exp(p - highest);
    }
    entropy_ = 0;
    for (T& p : p_) {
      p /= sum;
      entropy_ -= p * std::log(p);  // p cannot be 0: logits lie in [-2.5, 2.5]
    }
  }

  T probability(int i) const { return p_[i]; }
  const std::vector<T>& probabilities() const { return p_; }
  T log_probability(int i) const { return std::log(probability(i)); }
  /// The entropy of the distribution, in nats.
  T entropy() const { return entropy_; }

  /// Draws an option.
  int sample(Random& random) const {
    double u = random.uniform();
    for (int i = 0; i + 1 < size(); ++i) {
      u -= static_cast<double>(probability(i));
      if (u < 0) {
        return i;
      }
    }
    return size() - 1;
  }

  /// The derivative by logit y_i of weight * log p(chosen) + entropy_weight * entropy.
  T gradient(int i, int chosen, T weight, T entropy_weight) const {
    const T p = probability(i);
    const T dz =
        weight * ((i == chosen ? T(1) : T(0)) - p) - entropy_weight * p * (std::log(p) + entropy_);
    const T s = squash_[i];
    return dz * (kRange / kTemperature) * (1 - s * s);
  }

 private:
  std::vector<T> y_, p_, squash_;  // logits, probabilities, tanh(y / 5)
  T entropy_ = 0;
};

}  // namespace renas::search
