#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "renas/controller.h"
#include "search/gaussian.h"
#include "search/similarity.h"
#include "search/state_io.h"

namespace renas::search {

/// A predictor of the worth of genomes that were not trained, from those that were: a Gaussian
/// process over genomes with Similarity as its covariance. Beyond the paper.
///
///   target     the place of a fitness among the mean fitness of all genomes, as a normal quantile:
///              any increasing measure of fitness gives the same
///   worth      predicted mean + optimism * standard deviation
///   rho, noise the pair of a small grid that makes the results likeliest, chosen anew whenever
///   their
///              number has grown by three tenths: how far results of one genome tell of another,
///              and how much of them is chance, is learnt, not set
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

  void append(std::size_t i);
  void rebuild(double rho, double noise);
  void choose();
  void set_targets();

  SearchSpace space_;
  double optimism_;
  Similarity similarity_;
  std::unique_ptr<GaussianFactor> factor_;
  double noise_ = 0.1;
  uint64_t next_choice_ = 10;    // results at which rho and noise are chosen anew
  std::vector<Genome> genomes_;  // canonical, oldest first
  std::vector<double> fitness_;
  bool fresh_ = false;  // of what follows
  std::vector<double> targets_, weights_;
  std::vector<double> row_, reduced_;
};

}  // namespace renas::search
