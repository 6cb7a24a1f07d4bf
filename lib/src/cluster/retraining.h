#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "cluster/messages.h"
#include "cluster/network_queue.h"
#include "cluster/run_setup.h"
#include "renas/log.h"
#include "renas/run_directory.h"
#include "renas/search_run.h"
#include "renas/strategy.h"

namespace renas {

/// The retraining of the search's finalists and of the random controls, a network a rank. Those
/// left over when each rank has had equally many are trained by ranks together, as far as
/// SearchRunOptions::retrain_ranks allows.
///
/// A network whose model is on disk, whole and of the right genome, is not trained again. Neither
/// is one that failed in a run that has ended: its result lacks it.
class Retraining final : public NetworkQueue {
 public:
  /// Throws Error where `members` is empty: all candidates failed.
  Retraining(const RunSetup& setup, const RunDirectory& run, std::vector<Member> members,
             const Log& log);

  std::size_t size() const override { return size_; }  ///< without those that failed
  std::size_t done() const override { return done_.size(); }
  double best() const override;
  /// A stream of the run's seed for each network.
  uint64_t seed_of(const RetrainedNetwork& network) const override;
  /// A function of the network's place, whatever was done before: a run that is resumed on as many
  /// ranks trains each network by as many as before.
  int ranks_for(const RetrainedNetwork& network, const RankCounts& ranks) const override;
  void take(RetrainedNetwork network, int rank, const Report& report, const Log& log) override;

  /// All networks in the order of the search's fitness, and the winner. Throws Error where no
  /// member was retrained.
  SearchRunResult result() const;

 private:
  std::ptrdiff_t place_of(const RetrainedNetwork& network) const;
  void leave_out_failed(const RunDirectory& run, const Log& log);
  double fitness_of(const RetrainedNetwork& network) const;

  std::string log_file_;
  uint64_t seed_;
  Fitness fitness_;
  int most_ranks_;  ///< SearchRunOptions::retrain_ranks
  int batch_;
  std::size_t images_;              ///< of D_train
  std::vector<std::string> order_;  ///< names, best member first
  std::vector<RetrainedNetwork> done_;
  std::size_t size_ = 0;
};

}  // namespace renas
