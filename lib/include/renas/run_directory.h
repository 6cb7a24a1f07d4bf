#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "renas/genome.h"
#include "renas/state.h"
#include "renas/strategy.h"

namespace renas {

inline constexpr int kRunFormat = 1;

/// One line of a run's history: a candidate that came back.
struct HistoryEntry {
  uint64_t id = 0;
  std::optional<uint64_t> parent;
  std::optional<uint64_t> removed;  ///< the member that left for it; its own id where it did not join
  std::string genome;
  std::vector<Mutation> mutations;
  Status status = Status::kOk;
  std::string message;  ///< of a failure
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

/// Held by the one process that writes to a run; the system takes it back where the process dies.
class RunLock {
 public:
  explicit RunLock(int descriptor) : descriptor_(descriptor) {}
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;
  ~RunLock();

 private:
  int descriptor_;
};

/// A run's folder: `history.jsonl`, `search.h5`, `weights/`, `retrain/`, `best.h5`,
/// `result.json`, `options.toml`, `log.txt` (lib/src/store/FORMAT.md). The history is the truth; the snapshot saves replaying it.
class RunDirectory {
 public:
  /// Makes a new run. Throws InvalidInput where the folder exists and is not empty (what a process
  /// killed in here leaves counts as empty).
  static RunDirectory create(const std::string& path, const std::string& options);
  /// Opens an existing run to read it, or to go on. Throws InvalidInput where it is none.
  static RunDirectory open(const std::string& path);

  const std::string& path() const { return path_; }
  /// Throws InvalidInput, naming host and process, where another process works on the run. File
  /// systems without locks grant it to everyone.
  RunLock lock() const;
  /// The text that create() was given.
  std::string options() const;

  /// All complete lines. A last line without its end (a killed writer) is left out.
  /// Throws IoError with file and line where a line is not one of a history.
  std::vector<HistoryEntry> history() const;
  /// Cuts an incomplete last line off; call before appending to an existing run.
  void repair_history() const;
  /// Appends a line and waits until it is on disk. Throws IoError; the history is then as before.
  void append(const HistoryEntry& entry) const;

  /// What the pictures are, in a line: a run goes on with those it began with, wherever they lie.
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
  /// What the run found, written once at its end: JSON (renas/search_run.h).
  void save_result(const std::string& json) const;
  std::optional<std::string> load_result() const;  ///< none: the run has not ended
  std::string log_file() const;

 private:
  explicit RunDirectory(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

/// One line of JSON, without its end.
std::string to_json(const HistoryEntry& entry);
/// Throws InvalidInput.
HistoryEntry parse_history_line(const std::string& line);

}  // namespace renas
