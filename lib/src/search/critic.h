#pragma once

#include <memory>
#include <span>
#include <vector>

#include "renas/controller.h"
#include "renas/random.h"
#include "search/network.h"
#include "search/state_io.h"
#include "search/tokens.h"

namespace renas::search {

/// A learnt predictor of how a genome would rank among all that were trained: an encoder like the
/// controller's, with weights of its own, whose linear output is averaged over the tokens. Trained
/// on past results towards their rank, -1 for the worst to 1 for the best. Beyond the paper.
class Critic {
 public:
  Critic(const SearchSpace& space, const ControllerOptions& options, uint64_t seed);

  /// Notes a result and takes `critic_updates` Adam steps on `critic_batch` results drawn from all.
  void learn(const Genome& genome, double fitness);
  /// Predicted ranks of genomes, in the order given.
  std::vector<double> rank(std::span<const Genome* const> genomes);
  std::size_t results() const { return fitness_.size(); }

  void save(StateWriter& writer) const;
  void load(const StateReader& reader);

 private:
  void forward(std::span<const Genome* const> genomes);
  double target(double fitness) const;

  SearchSpace space_;
  TokenLayout layout_;
  ControllerOptions options_;
  std::unique_ptr<Network<float>> network_;
  Random random_;
  long steps_ = 0;
  std::vector<Genome> genomes_;
  std::vector<double> fitness_;
  std::vector<double> sorted_;
  std::vector<int> tokens_;
  std::vector<float> outputs_, d_outputs_;
};

}  // namespace renas::search
