#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "core/files.h"

namespace renas {

/// A log, over all sessions of a run, of tasks that were begun and never ended. It reveals a task
/// that kills its process every time.
///
/// The log is a file of sealed JSON lines. Its lines survive the process, not necessarily the
/// machine; a failure to write one is ignored, since only that memory suffers. A log that has grown
/// long is written anew without what has ended.
class AttemptLog {
 public:
  /// Reads the log in `path`, if there is one, and keeps the tasks that have not ended. Throws
  /// IoError where it cannot be read. Damaged lines are ignored.
  explicit AttemptLog(const std::string& path);

  /// Notes the beginning of `task`. `progress` says how far earlier attempts got, such as in
  /// epochs.
  void begin(const std::string& task, int progress = 0);
  /// It was answered.
  void end(const std::string& task);
  /// The last attempt was given up in order: it does not count, earlier ones do.
  void undo(const std::string& task);
  /// The number of attempts at `task` that were begun and not ended since it got as far as
  /// `progress`.
  int unanswered(const std::string& task, int progress = 0) const;

 private:
  struct Attempts {
    int progress = 0;
    int count = 0;
  };
  void note_begin(const std::string& task, int progress);
  void note_undo(const std::string& task);
  std::string unanswered_lines() const;
  void open(const std::string& path, const std::string& content);
  void append(const std::string& line);

  OpenFile file_;
  int64_t size_ = 0;
  int64_t longest_ = 0;  ///< bytes at which it is written anew
  std::map<std::string, Attempts> unanswered_;
};

}  // namespace renas
