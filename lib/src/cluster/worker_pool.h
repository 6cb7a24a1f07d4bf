#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "renas/search_run.h"
#include "renas/strategy.h"

namespace renas {

/// What the ranks are doing, as far as the coordinator has heard. Times are arguments, so that
/// tests bring their own clock.
class WorkerPool {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Work = std::variant<Candidate, RetrainedNetwork>;

  struct Worker {
    bool ready = false;   ///< takes tasks
    bool silent = false;  ///< given up on; may come back
    bool away = false;    ///< cannot go on, or was stopped by itself
    bool gone = false;    ///< was told to stop, and has left
    std::string host;     ///< empty: not heard of yet
    Time heard;
    std::string task;          ///< name_of() what it has; empty: nothing
    uint64_t serial = 0;       ///< of the handing out of that task
    std::optional<Work> work;  ///< the same; of ranks that have a task together the first has it
    bool helps = false;        ///< has the task together with the rank that has its work
    bool shares = false;       ///< the task was given to several ranks

    bool busy() const { return work.has_value() || helps; }
  };

  /// A busy rank that says nothing for `timeout` seconds counts as dead. Rank 0 does not: it shares
  /// the coordinator's process.
  WorkerPool(int ranks, double timeout, Time now);

  int size() const { return static_cast<int>(workers_.size()); }
  const Worker& operator[](int rank) const { return workers_[static_cast<std::size_t>(rank)]; }

  bool is_free(int rank) const;
  int count_free() const;
  /// Ranks that work or may come to; with `late` also those that were not heard of yet.
  int count_usable(bool late) const;
  /// The first `count` free ranks.
  std::vector<int> free_ranks(int count) const;
  bool any_busy() const;
  /// No rank works, or ever will unless it comes back by itself.
  bool nobody_left() const;
  /// Ranks but 0 that have not left although they were told to.
  int count_not_gone() const;
  /// Some rank that is not silent has not left yet.
  bool waits_for_any() const;
  std::vector<int> not_heard_of() const;

  /// Gives a task to `ranks` together. Returns the serial number of the handing out.
  uint64_t assign(const std::vector<int>& ranks, const std::string& task, Work work, Time now);
  /// The other ranks that have what `rank` has.
  std::vector<int> partners(int rank) const;
  /// Takes the work away from a rank and its partners; none: it had none.
  std::optional<Work> take(int rank);
  /// Frees a rank that has done its part of what its partners still have.
  void release(int rank);
  void heard(int rank, Time now) { at(rank).heard = now; }
  void becomes_ready(int rank, const std::string& host);
  void leaves(int rank);
  void is_back(int rank) { at(rank).silent = false; }
  void is_gone(int rank) { at(rank).gone = true; }
  /// Busy ranks that have now been silent for too long; they count as silent from then on.
  ///
  /// Call it often: where there was no call for five seconds, the coordinator itself was suspended,
  /// and no rank is blamed.
  std::vector<int> newly_silent(Time now);

 private:
  Worker& at(int rank) { return workers_[static_cast<std::size_t>(rank)]; }

  std::vector<Worker> workers_;
  double timeout_;
  Time last_look_;
  uint64_t last_serial_ = 0;
};

}  // namespace renas
