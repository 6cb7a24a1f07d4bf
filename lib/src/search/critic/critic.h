#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "renas/controller.h"
#include "renas/strategy.h"
#include "search/critic/deficits.h"
#include "search/critic/gaussian_process.h"
#include "search/critic/similarity.h"
#include "search/state_io.h"

namespace renas::search {

/// The critic predicts the worth of genomes that were not trained from the results of those that
/// were: Gaussian process regression with Similarity as the covariance function. It goes beyond the
/// paper.
///
///   worth             predicted mean + optimism * standard deviation (an upper confidence bound)
///   hyper-parameters  rho and kappa of Similarity and the variance of the noise. They are chosen
///                     from a grid by the likelihood of the newest results, and chosen anew
///                     whenever the number of results has grown by three tenths. So the critic
///                     learns how far one genome's result tells of another, and how much of a
///                     result is noise.
///
/// While all results are of candidates trained from scratch, the target is the rank of a fitness
/// among the mean fitness of all genomes, as a normal quantile, so that any increasing measure of
/// fitness gives the same critic. From the first result on that inherited weights (Descent), a
/// result is explained as
///
///   fitness = mean + effect(genome) - deficit + noise
///
/// whose terms Deficit describes. Then the target is the fitness itself, in standard deviations;
/// what lies below Tukey's lower fence counts as the fence, because cells that fail say nothing
/// more. What the critic predicts is the effect: what a cell is worth apart from how its weights
/// came about.
///
/// Only kMemory results count at most. With n of them a result, and a ranking, cost O(n^2).
class Critic {
 public:
  Critic(const SearchSpace& space, const ControllerOptions& options);

  /// Takes in the fitness of a trained genome.
  void learn(const Genome& genome, double fitness, const Descent& descent = {});
  /// The lowest fitness that it remembers; 0: it remembers none.
  double worst() const;
  /// Where it is time for that, chooses hyper-parameters now, as best() and rank() would do first.
  /// Called after each result, it makes what these say independent of when they are asked.
  void update() {
    if (genomes().size() >= next_choice_) refresh();
  }
  /// Predicts the worth of `candidates`, in the order given. Of the candidates `in_flight` those
  /// most like them, as many as the options say, take part of the variance away, as results would.
  std::vector<double> rank(std::span<const Genome* const> candidates,
                           std::span<const Genome* const> in_flight = {});

  /// Whether fitness and effect differ: a result inherited weights.
  bool corrects() const { return corrects_; }
  /// A result that the critic remembers, and the effect of its genome on the scale of fitness.
  struct Effect {
    uint64_t id = 0;
    double value = 0;
  };
  /// The effects of all results that it remembers, oldest first; empty unless it corrects().
  const std::vector<Effect>& effects();
  /// The results of the `count` networks with the highest effects, best first; of a network's
  /// results the newest.
  std::vector<Member> best(std::size_t count);

  /// `name` is that of the critic in the state.
  void save(StateWriter& writer, const std::string& name) const;
  void load(const StateReader& reader, const std::string& name);

 private:
  static constexpr std::size_t kMemory = 1000;  // results kept at most
  static constexpr std::size_t kForget = 250;   // results dropped when there are more
  static constexpr std::size_t kKeep = 250;     // best results that are not dropped
  static constexpr std::size_t kJudges = 200;   // newest results whose likelihood chooses the form

  /// The hyper-parameters.
  struct Form {
    double rho = 0.8;
    double kappa = 0.9;
    double noise = 0.1;
    double shock = 0.5;  // of the deficit
    int recovery = 1;    // of the deficit: an index into kRecoveries
  };

  const std::vector<Genome>& genomes() const { return similarity_.genomes(); }
  /// Adds result number i to the process.
  void append(std::size_t i);
  /// Makes the process anew, with hyper-parameters `form`, from the results `first` and newer.
  void rebuild(const Form& form, std::size_t first = 0);
  /// Chooses the hyper-parameters and makes the process anew with them.
  void choose();
  /// The log likelihood of the results `first` and newer under `form`.
  double likelihood(const Form& form, std::size_t first);
  /// Computes the targets of all results.
  void set_targets();
  void set_rank_targets();
  void set_fitness_targets();
  /// Brings targets, process and weights up to date.
  void refresh();
  void compute_effects();
  /// The genomes in flight that are most like the candidates, canonical.
  std::vector<Genome> nearest(const std::vector<Genome>& candidates,
                              std::span<const Genome* const> in_flight) const;
  /// Takes off `variances` [candidates] what the genomes `pending` would, were they told.
  ///
  /// solved  [results, candidates]: L^-1 times the candidates' covariances with the results
  void count_pending(const std::vector<Genome>& candidates, const std::vector<Genome>& pending,
                     const std::vector<double>& solved, std::vector<double>& variances) const;
  /// Drops the results that tell least: the oldest but the best.
  void forget();

  SearchSpace space_;
  double optimism_;
  std::size_t most_in_flight_;
  Similarity similarity_;  // and the genomes, canonical, oldest first
  std::unique_ptr<GaussianProcess> process_;
  Form form_;
  std::size_t first_ = 0;      // the result that is the process's first point
  uint64_t next_choice_ = 10;  // number of results at which the form is chosen anew
  bool corrects_ = false;
  std::vector<double> fitness_;
  Deficits deficits_;
  bool fresh_ = false;  // whether targets_ and weights_ hold for the present results
  std::vector<double> targets_, weights_;
  double offset_ = 0, unit_ = 1;  // fitness = offset + unit * target
  double scale_ = 1;              // standard deviation of effects, in targets
  std::vector<Effect> effects_;
  bool effects_fresh_ = false;
  std::vector<double> row_, solved_;  // scratch
};

}  // namespace renas::search
