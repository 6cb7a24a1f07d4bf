#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "renas/genome.h"
#include "renas/run_result.h"
#include "renas/state.h"
#include "renas/strategy.h"

namespace renas {

/// The version of the format of a run's folder.
inline constexpr int kRunFormat = 2;
/// The version of the format of a folder of trained cells.
inline constexpr int kListFormat = 1;

/// One line of a run's history: the result of one evaluated candidate.
struct HistoryEntry {
  uint64_t line = 0;  ///< number of the line, from 0: how many results came back before
  uint64_t id = 0;
  std::optional<uint64_t> parent;
  std::optional<uint64_t>
      removed;  ///< the member that left for it; its own id where it did not join
  std::string genome;
  std::vector<Mutation> mutations;
  Status status = Status::kOk;
  std::string message;  ///< reason of a failure, or a remark; may be empty
  double fitness = 0;
  int64_t parameters = 0;
  int64_t mult_adds = 0;
  double inherited = 0;  ///< share of the trainable parameters inherited from the parent
  double seconds = 0;    ///< wall time of the evaluation
  double elapsed = 0;    ///< of searching when it came back, all sessions together, in seconds
  int rank = 0;          ///< MPI rank that evaluated the candidate
  uint64_t asked = 0;    ///< candidates handed out before this one came back; orders the replay
};

/// The state of the search strategy after some lines of the history.
struct Snapshot {
  State strategy;
  uint64_t journal_lines = 0;  ///< lines of the history that the state includes
};

/// Where a search ended.
struct SearchEnd {
  uint64_t lines = 0;  ///< of the history
  /// The results that the search could have had (P + E); it may have ended by time or patience
  /// before. 0: not known, in runs of earlier versions.
  uint64_t budget = 0;
  bool operator==(const SearchEnd&) const = default;
};

/// Texts that a run began with, by the name of the file that keeps them: `space`,
/// `initial_genomes`, `cells`.
using RunInputs = std::map<std::string, std::string>;

/// The content of a history file. Each line carries its number and a checksum, so that damage is
/// detected.
struct History {
  std::vector<HistoryEntry> entries;  ///< in the order of their lines; missing lines are left out
  uint64_t lines = 0;                 ///< number of lines, the missing ones included
  std::vector<uint64_t> missing;      ///< lines that are lost, or damaged beyond repair; ascending
  std::vector<std::string> repairs;   ///< damage that reading has repaired, in sentences
};

/// The lock of a run's folder, held by the one process that writes to it. The system releases the
/// lock when that process dies.
class RunLock {
 public:
  /// Creates the folder where there is none, and locks it. Throws InvalidInput, naming host and
  /// process, where another process works on the run.
  explicit RunLock(const std::string& folder);
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;
  ~RunLock();
  /// False where the file system has no locks. Nothing then keeps a second process out.
  bool guards() const { return guards_; }

 private:
  int descriptor_ = -1;
  bool guards_ = true;
};

/// The lock of a file while one process makes it, in place of what was there: the file with `.lock`
/// behind its name, which goes with the lock. One of a process that died is taken over. Where the
/// file system has no locks it keeps nobody out.
class FileLock {
 public:
  /// Throws InvalidInput, naming host and process, where another process makes the file; IoError
  /// where the lock cannot be written.
  explicit FileLock(const std::string& file);
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  ~FileLock();

 private:
  std::string path_;
  int descriptor_ = -1;
};

/// A run's folder: `history.jsonl`, `search.h5`, `weights/`, `retrain/`, `best.h5`, `result.json`,
/// `options.toml`, `log.txt` (lib/src/store/FORMAT.md). The history is the truth. The snapshot
/// only saves the time of replaying it.
///
/// The trainings of a list of cells live in a folder of the same form, without what belongs to a
/// search; `results.jsonl` is their truth.
///
/// Functions that read throw IoError where a file cannot be read or its checksum does not hold, and
/// say what to do. Reading repairs a single flipped bit in a text file.
class RunDirectory {
 public:
  /// Checks that a new run can be created in `path`. Throws InvalidInput where `path` exists and
  /// holds anything but what a process killed in create() leaves.
  static void check_unused(const std::string& path);
  /// What a folder is of.
  enum class Kind { kSearch, kList };
  /// Creates the folder of a new run. The caller holds its RunLock. Throws InvalidInput as
  /// check_unused() does.
  static RunDirectory create(const std::string& path, const std::string& options,
                             const RunInputs& inputs = {}, Kind kind = Kind::kSearch);
  /// Opens an existing run, to read it or to resume it. Throws InvalidInput where `path` is no run
  /// or of another format or kind.
  static RunDirectory open(const std::string& path, Kind kind = Kind::kSearch);

  const std::string& path() const { return path_; }
  /// The text of options that create() or replace_options() stored.
  std::string options() const;
  void replace_options(const std::string& options) const;
  /// The text called `name` that create() stored; none: the run began without it.
  std::optional<std::string> input(const std::string& name) const;
  /// Removes partial files that killed processes left. The caller holds the run's lock.
  void prepare_to_resume() const;

  /// Reads the complete lines of the history. A last line without its end, which a killed writer
  /// leaves, does not count.
  History read_history() const;
  /// Reads the entries of the history. Throws IoError, naming the first missing line, where lines
  /// are missing.
  std::vector<HistoryEntry> history() const;
  /// Rewrites the history where read_history() had to repair it, and truncates it to the lines
  /// before `end`; an incomplete last line is removed too. Call it before appending to an existing
  /// run. The old file stays as `history.jsonl.damaged` unless only an incomplete line is removed.
  void repair_history(uint64_t end) const;
  /// Appends entries to the history by one write, and waits once until all are on disk. Throws
  /// IoError; the history is then as before.
  void append(std::span<const HistoryEntry> entries) const;
  void append(const HistoryEntry& entry) const { append(std::span(&entry, 1)); }

  /// Stores one line that identifies the data set. A run resumes only with the images it began
  /// with, wherever their file lies.
  void mark_data(const std::string& identity) const;
  std::optional<std::string> data() const;  ///< that line; none: not stored yet

  /// Records that the search ended. What follows is retraining.
  void mark_search_over(const SearchEnd& end) const;
  std::optional<SearchEnd> search_over() const;  ///< none: the search goes on
  void remove_search_over() const;               ///< since it goes on after all

  /// Replaces the snapshot, and keeps the one before it.
  void save_snapshot(const Snapshot& snapshot) const;
  /// The last snapshot, or where it cannot be read the one before it; `problem`, if given, then
  /// gets the reason. None: no snapshot was written yet. Throws IoError where none can be read.
  std::optional<Snapshot> load_snapshot(std::string* problem = nullptr) const;

  std::string weights_file(uint64_t id) const;  ///< weights of member `id`
  void remove_weights(uint64_t id) const;
  std::string retrained_file(const std::string& name) const;   ///< a model retrained at the end
  std::string checkpoint_file(const std::string& name) const;  ///< the checkpoint of its training
  std::string best_file() const;
  /// Writes what the run found, at its end.
  void save_result(const RunResult& result) const;
  std::optional<RunResult> load_result() const;  ///< none: the run has not ended
  /// Removes the result and the winner's model, since the run has not ended after all.
  void remove_result() const;
  /// The results of the trainings of a list of cells, in the order in which they came; what cannot
  /// be read is left out, and trained again.
  std::vector<TrainedCell> trained_cells() const;
  void append(const TrainedCell& cell) const;  ///< as append() of a HistoryEntry
  std::string log_file() const;
  std::string attempts_file() const;  ///< the log of begun tasks (store/attempt_log.h)

 private:
  RunDirectory(std::string path, Kind kind) : path_(std::move(path)), kind_(kind) {}
  std::string path_;
  Kind kind_;
};

/// Formats an entry as one line of JSON with its checksum, without the line end.
std::string to_json(const HistoryEntry& entry);
/// Parses a line of the history. Throws InvalidInput where it is none, or its checksum does not
/// hold.
HistoryEntry parse_history_line(const std::string& line);
/// Parses the text of a history file. Damaged text never throws; it is in the result.
History parse_history(const std::string& text);

}  // namespace renas
