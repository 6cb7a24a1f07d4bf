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

/// A predictor of the worth of genomes that were not trained, from those that were: a Gaussian
/// process over genomes with Similarity as its covariance. Beyond the paper.
///
///   target     the place of a fitness among the mean fitness of all genomes, as a normal quantile:
///              any increasing measure of fitness gives the same
///   worth      predicted mean + optimism * standard deviation
///   form       of the covariance, rho and kappa of Similarity, and the noise: those of a grid that
///              make the newest results likeliest, chosen anew whenever the number of results has
///              grown by three tenths. How far results of one genome tell of another, and how much
///              of them is chance, is learnt, not set.
///
/// Only the newest kMemory results count; n of them cost O(n^2) a result and a ranking.
class Critic {
 public:
  Critic(const SearchSpace& space, const ControllerOptions& options);

  void learn(const Genome& genome, double fitness);
  /// Worth of genomes, in the order given.
  std::vector<double> rank(std::span<const Genome* const> genomes);

  void save(StateWriter& writer) const;
  void load(const StateReader& reader);

 private:
  static constexpr std::size_t kMemory = 1000;
  static constexpr std::size_t kForget = 250;

  struct Form {
    double rho = 0.8;
    double kappa = 0.9;
    double noise = 0.1;
  };
  static constexpr std::size_t kJudges = 200;  // newest results that judge a form

  void append(std::size_t i);
  /// Takes results from `first` on into the factor.
  void rebuild(const Form& form, std::size_t first = 0);
  void choose();
  void set_targets();

  SearchSpace space_;
  double optimism_;
  Similarity similarity_;
  std::unique_ptr<GaussianProcess> process_;
  Form form_;
  std::size_t first_ = 0;        // result that is the factor's first
  uint64_t next_choice_ = 10;    // results at which the form is chosen anew
  std::vector<Genome> genomes_;  // canonical, oldest first
  std::vector<double> fitness_;
  bool fresh_ = false;  // of what follows
  std::vector<double> targets_, weights_;
  std::vector<double> row_, solved_;
};

}  // namespace renas::search
