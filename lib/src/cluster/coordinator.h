#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "cluster/messages.h"
#include "cluster/progress.h"
#include "cluster/run_setup.h"
#include "cluster/work_queue.h"
#include "cluster/worker_pool.h"
#include "renas/search_run.h"
#include "renas/transport.h"

namespace renas {

/// Hands out work to the ranks and writes down what comes back. Runs in a thread of rank 0.
///
///   for each rank that is free:   the next item of the queue (a candidate or a network to retrain)
///   for an item of many ranks:    waits until so many are free, and gives it to them together
///   for each result:              back into the queue, which writes it down
///   for a rank that fails, leaves
///   or is silent:                 what it had goes back into the queue, and ranks that had it
///                                 together with that one are told to leave it
class Coordinator {
 public:
  Coordinator(const RunSetup& setup, WorkQueue& queue, Transport& transport,
              const SearchRunHooks& hooks);

  /// Until everything is done or a stop was asked for. Tells all workers to stop at the end, also
  /// where it throws. Returns how many did not leave (SearchRunResult::silent_ranks).
  int run();

 private:
  using Clock = std::chrono::steady_clock;

  void begin_phase();
  void loop();
  bool stop_requested() const;
  bool draining();
  void hand_out();
  void handle(int rank, const Report& report);
  bool has(int rank, const Report& report) const;
  void welcome(int rank, const Report& report);
  void welcome_back(int rank, const Report& report);
  void take_result(int rank, const Report& report);
  void take_failure(int rank, const Report& report);
  std::optional<WorkerPool::Work> take_from(int rank);
  void take_back(int rank);
  void lose(int rank);
  void look_after_workers();
  void say_who_is_missing();
  void send_signs_of_life();
  void report_progress();
  void dismiss_workers();
  void send(int rank, const Task& task) { transport_.send_to_worker(rank, encode(task)); }
  void log(LogLevel level, const std::string& text) const {
    if (hooks_.log) hooks_.log(level, text);
  }

  const RunSetup& setup_;
  Transport& transport_;
  const SearchRunHooks& hooks_;
  WorkQueue& queue_;
  WorkerPool workers_;
  ProgressMeter progress_;

  bool stopping_ = false;  ///< because no rank is left, or all are drained
  std::optional<Clock::time_point> draining_since_;
  bool announced_ = false;  ///< that all ranks are there, or which are not
  const Clock::time_point started_ = Clock::now();
  Clock::time_point last_sign_of_life_ = started_;
  Clock::time_point last_progress_;
};

}  // namespace renas
