#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "cluster/messages.h"
#include "cluster/network_queue.h"
#include "cluster/run_setup.h"
#include "cluster/search_journal.h"
#include "cluster/worker_pool.h"
#include "renas/log.h"
#include "store/attempt_log.h"

namespace renas {

/// What is to be done in a run, whoever does it: the candidates of the search and then the networks
/// to retrain; or, without a search, a list of cells to train. Knows no ranks but as names of where
/// a result came from.
///
/// A task that was begun max_attempts times, over all sessions, and never answered is taken for one
/// that kills its process: it counts as lost instead of being handed out again.
class WorkQueue {
 public:
  /// A search and what follows it.
  WorkQueue(const RunSetup& setup, std::unique_ptr<SearchJournal> journal, Log log);
  /// Networks alone, for the folder `run`.
  WorkQueue(const RunSetup& setup, const RunDirectory& run, std::unique_ptr<NetworkQueue> networks,
            Log log);

  struct Item {
    Task task;
    WorkerPool::Work work;
    int ranks = 1;  ///< that are to do it together; at most RankCounts::free
  };
  /// The next thing to hand out; none: there is nothing now, or not for so few free ranks.
  std::optional<Item> next(const RankCounts& ranks = {});
  /// What came of `work`, which the queue called `task`.
  void take(int rank, const std::string& task, WorkerPool::Work work, const Report& report);
  /// `work` was left undone in order: it is the next to be handed out.
  void give_back(const std::string& task, WorkerPool::Work work);
  /// The rank that had `work` is dead, or its device is. The work goes to another rank, and the
  /// attempt counts.
  void lose(const std::string& task, WorkerPool::Work work);
  /// The result of a task that was given to another rank meanwhile.
  void take_late(const std::string& task);

  /// Asks ahead where results count in order, and begins the retraining once the search is over.
  /// Returns true where it has just begun.
  bool advance();
  bool is_done() const { return networks_ && networks_->is_over(); }
  /// Makes sure that all that was taken is on disk.
  void commit();
  /// Saves the search's state; where `now` is false, at most every `snapshot_seconds`.
  void save_snapshot(bool now);

  /// Where the work stands; the time left only as far as the search's time budget bounds it.
  SearchProgress progress() const;
  /// Results that wait for those of older candidates.
  std::size_t waiting() const { return journal_ ? journal_->waiting() : 0; }
  /// What is under way, in words.
  std::string description() const;
  /// The networks that are trained from scratch; null while the search goes on.
  const NetworkQueue* networks() const { return networks_.get(); }

 private:
  void say(LogLevel level, const std::string& text) const;
  bool may_begin(const std::string& task, int progress);
  std::optional<Report> given_up(const std::string& task, int progress);
  int epochs_done(const RetrainedNetwork& network) const;
  std::optional<Item> next_candidate();
  std::optional<Item> next_network(const RankCounts& ranks);
  void begin_retraining();

  const RunSetup& setup_;
  Log log_;
  std::unique_ptr<SearchJournal> journal_;  ///< null: there is no search
  RunDirectory run_;
  AttemptLog attempts_;
  std::string
      suspect_;  ///< the task that is out and one death away from being lost; empty: none is
  std::unique_ptr<NetworkQueue> networks_;
};

}  // namespace renas
