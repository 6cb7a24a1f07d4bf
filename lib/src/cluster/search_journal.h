#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cluster/messages.h"
#include "cluster/run_setup.h"
#include "renas/log.h"
#include "renas/run_directory.h"
#include "renas/strategy.h"

namespace renas {

/// What came of a candidate.
struct CandidateResult {
  int rank = 0;  ///< that evaluated it; -1: none did
  Candidate candidate;
  Report report;
};

/// The search as a sequence of asks and tells that is on disk before anything follows from it: all
/// results that came in one turn of the coordinator are written and synced at once, by commit(),
/// and no candidate is handed out before that.
///
/// The history is the truth: a run that was killed is replayed from the last snapshot and the lines
/// behind it, and candidates that were out then are handed out again, with the same random streams.
/// A snapshot that cannot be used costs time; a line of the history that is lost costs nothing
/// where the snapshot includes it, and else the results from that line on.
class SearchJournal {
 public:
  /// Makes or resumes the run of `setup.options`. Throws InvalidInput, IoError.
  SearchJournal(const RunSetup& setup, int ranks, Log log);

  const RunDirectory& run() const { return run_; }
  const Strategy& strategy() const { return *strategy_; }
  uint64_t results() const { return told_; }  ///< told, and so lines of the history after commit()
  uint64_t total() const;                     ///< P + E
  bool is_over() const;
  /// So many children in a row brought nothing better that the search ends.
  bool out_of_patience() const { return out_of_patience_; }
  /// Seconds of searching in all sessions.
  double elapsed() const;
  /// Results that wait for those of older candidates (in order only).
  std::size_t waiting() const { return early_.size(); }

  /// The next candidate to evaluate; none: there is none now.
  std::optional<Candidate> next();
  /// A candidate that its rank did not finish: the next one to be handed out.
  void give_back(const Candidate& candidate) { unfinished_.push_front(candidate); }
  /// Tells the strategy, in order once all older results are there; commit() writes it down.
  void record(CandidateResult result);
  /// Appends what was recorded since the last call to the history, and then removes the weights
  /// that nobody needs any more.
  void commit();
  /// In order, as many candidates are out as there are ranks, working or not, unless the strategy
  /// waits: what it knows when it is asked then depends on nothing but their number.
  void ask_ahead();
  /// Removes weights that a rank wrote too late to count.
  void discard_late(uint64_t id);

  /// Where `now` is false, at most every `snapshot_seconds`, or once replaying the lines behind the
  /// last snapshot would take seconds.
  void save_snapshot(bool now);
  void end_search();

 private:
  using Clock = std::chrono::steady_clock;
  void say(LogLevel level, const std::string& text) const;
  void patiently(const std::function<void()>& work) const;
  void check_data();
  void check_inputs(const RunInputs& inputs) const;
  bool has_more_children(const SearchEnd& end) const;
  void take_stock(const std::vector<HistoryEntry>& history);
  void note_improvement(const HistoryEntry& e);
  bool time_is_up() const;
  bool asks_no_more() const;
  bool waits() const;
  void replace_options();
  void check_that_some_succeed(const HistoryEntry& last) const;
  void resume();
  uint64_t load_snapshot(const History& history);
  Candidate ask();
  bool is_needed(uint64_t id) const;
  uint64_t usable_lines(const History& history, uint64_t snapshot_lines) const;
  void replay(const std::vector<HistoryEntry>& history, uint64_t from);
  void find_weights();
  void tell(const CandidateResult& result);
  void remove_unneeded_weights();
  std::string text_of(const Genome& genome) const { return to_string(space_, genome); }

  const SearchRunOptions options_;
  const SearchSpace space_;
  const std::string data_;  ///< identity_of() the data set
  const int ranks_;
  Log log_;
  std::unique_ptr<Strategy> strategy_;  // before lock_: bad options leave no folder behind
  std::unique_ptr<RunLock> lock_;       // before run_: nobody looks at a folder that another makes
  RunDirectory run_;

  uint64_t told_ = 0;
  uint64_t out_ = 0;  ///< candidates asked for and not told
  /// How many candidates that are out are children of each member. Strategy::keeps() alone would
  /// look through all that are out, which are many where ranks are.
  std::map<uint64_t, int> heirs_;
  std::vector<HistoryEntry> recorded_;         ///< told, and not in the history yet
  std::deque<Candidate> unfinished_;           ///< asked for, but with no rank
  std::map<uint64_t, CandidateResult> early_;  ///< results that wait for those of older candidates
  std::set<uint64_t> weights_;                 ///< ids whose weights are on disk
  bool ended_before_ = false;                  ///< an earlier session said that the search is over
  double best_fitness_ = -1;                   ///< of all results
  int since_best_ = 0;                         ///< children in a row that were not better
  bool out_of_patience_ = false;

  Clock::time_point started_ = Clock::now();
  double seconds_before_ = 0;  ///< of searching, in earlier sessions
  Clock::time_point last_snapshot_ = Clock::now();
  uint64_t snapshot_lines_ = ~uint64_t{0};
  Clock::duration to_replay_{};  ///< what the strategy's asks and tells since then took
};

}  // namespace renas
