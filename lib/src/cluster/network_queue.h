#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <utility>

#include "cluster/messages.h"
#include "renas/log.h"
#include "renas/run_result.h"

namespace renas {

/// How many ranks there are.
struct RankCounts {
  int all = 1;     ///< of the run
  int usable = 1;  ///< that work, or may come to
  int free = 1;    ///< that have nothing to do
};

/// Networks to train from scratch: those of a run's end, or a list of cells.
class NetworkQueue {
 public:
  virtual ~NetworkQueue() = default;

  virtual std::size_t size() const = 0;  ///< of all, done or not
  virtual std::size_t done() const = 0;
  virtual double best() const = 0;  ///< validation accuracy of those done
  bool is_over() const { return done() == size(); }

  /// The seed that the training of `network` follows from, whatever rank it is on.
  virtual uint64_t seed_of(const RetrainedNetwork& network) const = 0;
  /// How many ranks are to train `network` together, at most `ranks.usable`.
  virtual int ranks_for(const RetrainedNetwork& /*network*/, const RankCounts& /*ranks*/) const {
    return 1;
  }
  /// `report` is the result of `network` on `rank`.
  virtual void take(RetrainedNetwork network, int rank, const Report& report, const Log& log) = 0;

  std::optional<RetrainedNetwork> next() {
    if (waiting_.empty()) return std::nullopt;
    RetrainedNetwork network = std::move(waiting_.front());
    waiting_.pop_front();
    return network;
  }
  void give_back(RetrainedNetwork network) { waiting_.push_front(std::move(network)); }

 protected:
  std::deque<RetrainedNetwork> waiting_;
};

}  // namespace renas
