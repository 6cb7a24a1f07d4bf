#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "renas/controller.h"
#include "search/critic/gaussian_process.h"
#include "search/critic/similarity.h"
#include "search/state_io.h"

namespace renas::search {

/// The critic predicts the worth of genomes that were not trained from the results of those that
/// were: Gaussian process regression with Similarity as the covariance function. It goes beyond the
/// paper.
///
///   target            the rank of a fitness among the mean fitness of all genomes, as a normal
///                     quantile, so that any increasing measure of fitness gives the same critic
///   worth             predicted mean + optimism * standard deviation (an upper confidence bound)
///   hyper-parameters  rho and kappa of Similarity and the variance of the noise. They are chosen
///                     from a grid by the likelihood of the newest results, and chosen anew
///                     whenever the number of results has grown by three tenths. So the critic
///                     learns how far one genome's result tells of another, and how much of a
///                     result is noise.
///
/// Only the newest kMemory results count. With n of them a result, and a ranking, cost O(n^2).
class Critic {
 public:
  Critic(const SearchSpace& space, const ControllerOptions& options);

  /// Takes in the fitness of a trained genome.
  void learn(const Genome& genome, double fitness);
  /// Predicts the worth of `genomes`, in the order given.
  std::vector<double> rank(std::span<const Genome* const> genomes);

  void save(StateWriter& writer) const;
  void load(const StateReader& reader);

 private:
  static constexpr std::size_t kMemory = 1000;  // results kept at most
  static constexpr std::size_t kForget = 250;   // oldest results dropped when there are more
  static constexpr std::size_t kJudges = 200;   // newest results whose likelihood chooses the form

  /// The hyper-parameters.
  struct Form {
    double rho = 0.8;
    double kappa = 0.9;
    double noise = 0.1;
  };

  /// Adds result number i to the process.
  void append(std::size_t i);
  /// Makes the process anew, with hyper-parameters `form`, from the results `first` and newer.
  void rebuild(const Form& form, std::size_t first = 0);
  /// Chooses the hyper-parameters and makes the process anew with them.
  void choose();
  /// Computes the targets of all results.
  void set_targets();

  SearchSpace space_;
  double optimism_;
  Similarity similarity_;
  std::unique_ptr<GaussianProcess> process_;
  Form form_;
  std::size_t first_ = 0;        // the result that is the process's first point
  uint64_t next_choice_ = 10;    // number of results at which the form is chosen anew
  std::vector<Genome> genomes_;  // canonical, oldest first
  std::vector<double> fitness_;
  bool fresh_ = false;  // whether targets_ and weights_ hold for the present results
  std::vector<double> targets_, weights_;
  std::vector<double> row_, solved_;  // scratch
};

}  // namespace renas::search
