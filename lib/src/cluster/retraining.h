#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "cluster/messages.h"
#include "cluster/run_setup.h"
#include "renas/log.h"
#include "renas/run_directory.h"
#include "renas/search_run.h"
#include "renas/strategy.h"

namespace renas {

/// The retraining of the final population and of the random controls, a network a rank.
///
/// A network whose model is on disk, whole and of the right genome, is not trained again. Neither
/// is one that failed in a run that has ended: its result lacks it.
class Retraining {
 public:
  /// Throws Error where `members` is empty: all candidates failed.
  Retraining(const RunSetup& setup, const RunDirectory& run, std::vector<Member> members,
             const Log& log);

  std::size_t size() const { return size_; }  ///< without those that failed
  const std::vector<RetrainedNetwork>& done() const { return done_; }
  bool is_over() const { return done_.size() == size_; }

  std::optional<RetrainedNetwork> next();
  void give_back(RetrainedNetwork network) { waiting_.push_front(std::move(network)); }
  /// `report` is the result of `network` on `rank`.
  void take(RetrainedNetwork network, int rank, const Report& report, const Log& log);

  /// All networks in the order of the search's fitness, and the winner. Throws Error where no
  /// member was retrained.
  SearchRunResult result() const;

 private:
  void leave_out_failed(const RunDirectory& run, const Log& log);

  std::string log_file_;
  std::vector<std::string> order_;  ///< names, best member first
  std::deque<RetrainedNetwork> waiting_;
  std::vector<RetrainedNetwork> done_;
  std::size_t size_ = 0;
};

}  // namespace renas
