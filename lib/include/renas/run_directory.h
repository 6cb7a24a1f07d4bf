#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "renas/genome.h"
#include "renas/run_result.h"
#include "renas/state.h"
#include "renas/strategy.h"

namespace renas {

inline constexpr int kRunFormat = 2;

/// One line of a run's history: a candidate that came back.
struct HistoryEntry {
  uint64_t line = 0;  ///< of the history, from 0: how many results came back before
  uint64_t id = 0;
  std::optional<uint64_t> parent;
  std::optional<uint64_t>
      removed;  ///< the member that left for it; its own id where it did not join
  std::string genome;
  std::vector<Mutation> mutations;
  Status status = Status::kOk;
  std::string message;  ///< of a failure, or what was out of the ordinary; may be empty
  double fitness = 0;
  int64_t parameters = 0;
  int64_t mult_adds = 0;
  double inherited = 0;  ///< share of the trainable numbers that came from the parent
  double seconds = 0;    ///< wall time of the evaluation
  double elapsed = 0;    ///< of searching when it came back, all sessions together, in seconds
  int rank = 0;          ///< that evaluated it
  uint64_t asked = 0;    ///< candidates handed out before this one came back; orders the replay
};

/// How far a snapshot reaches.
struct Snapshot {
  State strategy;
  uint64_t journal_lines = 0;  ///< lines of the history that the state includes
};

/// What a history file holds. Each line carries its number and a checksum, so that damage is seen.
struct History {
  std::vector<HistoryEntry> entries;  ///< in the order of their lines, without the missing ones
  uint64_t lines = 0;                 ///< how many there are, the missing ones included
  std::vector<uint64_t> missing;      ///< lines that are lost, or damaged beyond repair; ascending
  std::vector<std::string> repairs;   ///< what was mended in reading, in sentences
};

/// Held by the one process that writes to a run. The system takes it back where the process dies.
class RunLock {
 public:
  /// Makes the folder where there is none, and takes its lock. Throws InvalidInput, naming host and
  /// process, where another process works on the run.
  explicit RunLock(const std::string& folder);
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;
  ~RunLock();
  /// False where the file system has no locks: nothing then keeps a second process out.
  bool guards() const { return guards_; }

 private:
  int descriptor_ = -1;
  bool guards_ = true;
};

/// A run's folder: `history.jsonl`, `search.h5`, `weights/`, `retrain/`, `best.h5`, `result.json`,
/// `options.toml`, `log.txt` (lib/src/store/FORMAT.md). The history is the truth; the snapshot
/// saves replaying it.
///
/// Functions that read throw IoError where a file cannot be read or its checksum does not hold, and
/// say what to do. A single flipped bit in a text file is mended in reading.
class RunDirectory {
 public:
  /// Throws InvalidInput where `path` exists and is neither empty nor what a process that was
  /// killed in create() leaves.
  static void check_unused(const std::string& path);
  /// Makes a new run; hold its lock. Throws InvalidInput as check_unused() does.
  static RunDirectory create(const std::string& path, const std::string& options);
  /// Opens an existing run to read it, or to go on. Throws InvalidInput where it is none.
  static RunDirectory open(const std::string& path);

  const std::string& path() const { return path_; }
  /// The text that create() or replace_options() was given.
  std::string options() const;
  void replace_options(const std::string& options) const;
  /// Removes what killed processes left half-written; hold the run's lock.
  void remove_partials() const;

  /// The complete lines. A last line without its end (a killed writer) is left out.
  History read_history() const;
  /// Their entries. Throws IoError, naming the first, where lines are missing.
  std::vector<HistoryEntry> history() const;
  /// Rewrites the history where read_history() had to mend it, and cuts it before line `end`, a
  /// line without its end included; call before appending to an existing run. What was there stays
  /// as `history.jsonl.damaged` unless only a line without its end goes.
  void repair_history(uint64_t end) const;
  /// Appends a line and waits until it is on disk. Throws IoError; the history is then as before.
  void append(const HistoryEntry& entry) const;

  /// What the images are, in a line: a run goes on with those it began with, wherever they lie.
  void mark_data(const std::string& identity) const;
  std::optional<std::string> data() const;

  /// The search ended after `lines` lines of history; what follows is retraining.
  void mark_search_over(uint64_t lines) const;
  std::optional<uint64_t> search_over() const;

  void save_snapshot(const Snapshot& snapshot) const;
  std::optional<Snapshot> load_snapshot() const;  ///< none: not written yet

  std::string weights_file(uint64_t id) const;
  void remove_weights(uint64_t id) const;
  std::string retrained_file(const std::string& name) const;   ///< a model trained at the end
  std::string checkpoint_file(const std::string& name) const;  ///< its training, half-way
  std::string best_file() const;
  /// What the run found, written at its end.
  void save_result(const RunResult& result) const;
  std::optional<RunResult> load_result() const;  ///< none: the run has not ended
  std::string log_file() const;
  std::string attempts_file() const;  ///< tasks that were begun (store/attempt_log.h)

 private:
  explicit RunDirectory(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

/// One line of JSON with its checksum, without its end.
std::string to_json(const HistoryEntry& entry);
/// Throws InvalidInput where `line` is not one, or its checksum does not hold.
HistoryEntry parse_history_line(const std::string& line);
/// Reads the text of a history file. Never throws for what the text holds.
History parse_history(const std::string& text);

}  // namespace renas
