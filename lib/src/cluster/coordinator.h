#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "cluster/messages.h"
#include "cluster/run_setup.h"
#include "renas/run_directory.h"
#include "renas/search_run.h"
#include "renas/strategy.h"
#include "renas/transport.h"

namespace renas {

/// Hands out work to the ranks and writes down what comes back. Runs in a thread of rank 0.
///
///   for each rank that is free:            ask the strategy, send the candidate (in order: ask
///                                          ahead, as many as there are ranks)
///   for each result:                       tell the strategy, append to the history (fsync),
///                                          remove weights that nobody needs any more
///   after P + E results:                   retrain the final population, a network a rank
///
/// The history is the truth: a run that was killed is replayed from the last snapshot and the lines
/// behind it, and candidates that were out then are evaluated again, from the same random streams.
class Coordinator {
 public:
  /// Throws InvalidInput, IoError where the run cannot be made or resumed.
  Coordinator(RunSetup setup, Transport& transport, const SearchRunHooks& hooks);

  /// Until everything is done or a stop was asked for. Tells all workers to stop at the end, also
  /// where it throws.
  SearchRunResult run();

 private:
  using Clock = std::chrono::steady_clock;
  struct Worker {
    bool ready = false;   ///< takes tasks
    bool busy = false;    ///< has one
    bool silent = false;  ///< given up on; may come back
    bool left = false;    ///< failed or was stopped by itself
    std::string host;
    Clock::time_point heard;
    std::string task;          ///< name_of() what it has
    Candidate candidate;       ///< in the search
    RetrainedNetwork network;  ///< at the end
  };

  /// A candidate's result, before the strategy hears of it.
  struct Result {
    int rank = 0;
    Candidate candidate;
    Report report;
  };

  void know_data();
  void resume();
  void replay(const std::vector<HistoryEntry>& history, uint64_t from);
  void remove_unneeded_weights();
  void loop();
  bool stop_requested() const;
  bool time_is_up() const;
  uint64_t total() const;
  bool search_is_over() const;
  void begin_retraining();
  bool everything_done() const;
  void hand_out(int rank);
  void send_candidate(int rank, const Candidate& candidate);
  void handle(int rank, const Report& report);
  void ask_ahead();
  void take_result(Result result);
  void take_candidate(const Result& result);
  void take_network(int rank, const Report& report);
  void take_back(Worker& worker);
  void take_late(int rank, const Report& report);
  void take_failure(int rank, const Report& report);
  bool nobody_left() const;
  void look_after_workers();
  void save_snapshot(bool now);
  void report_progress();
  void stop_workers();
  SearchRunResult result();
  void log(LogLevel level, const std::string& text) const;
  std::string text_of(const Genome& genome) const { return to_string(setup_.space, genome); }

  RunSetup setup_;
  Transport& transport_;
  const SearchRunHooks& hooks_;
  std::unique_ptr<Strategy> strategy_;  // before run_: bad options leave no folder behind
  RunDirectory run_;
  RunLock lock_;

  uint64_t told_ = 0;                ///< lines of the history
  std::deque<Candidate> unfinished_;  ///< asked for, but with no rank
  std::map<uint64_t, Result> early_;  ///< results that wait for those of older candidates
  std::set<uint64_t> weights_;       ///< ids whose weights are on disk
  std::map<uint64_t, Genome> genomes_;  ///< of those, and of members
  double seconds_before_ = 0;        ///< of searching, in earlier sessions
  std::vector<Worker> workers_;
  bool announced_ = false;  ///< that all ranks are there, or which are not
  bool stopping_ = false;   ///< because no rank is left

  bool search_over_ = false;  ///< said by an earlier session
  bool retraining_ = false;
  std::vector<std::string> order_;  ///< names of the networks to retrain, best member first
  std::deque<RetrainedNetwork> to_retrain_;
  std::vector<RetrainedNetwork> retrained_;
  std::size_t networks_ = 0;  ///< to be retrained in all

  Clock::time_point started_ = Clock::now();
  Clock::time_point phase_started_ = Clock::now();
  uint64_t phase_done_before_ = 0;
  Clock::time_point last_snapshot_ = Clock::now();
  uint64_t snapshot_lines_ = ~uint64_t{0};
  Clock::time_point last_progress_;
  Clock::time_point last_look_ = Clock::now();
  std::deque<std::pair<Clock::time_point, int64_t>> pictures_;  ///< of the last seconds
};

}  // namespace renas
