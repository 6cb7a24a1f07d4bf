#include "store/attempt_log.h"

#include <fcntl.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/checksum.h"
#include "renas/error.h"

namespace renas {
namespace {

using Json = nlohmann::ordered_json;

/// A log that is longer, and has four times as many lines as tasks that are out, is written anew.
constexpr int64_t kLongest = 1 << 20;

std::string line_of(const Json& content) { return seal_json(content.dump()) + "\n"; }

std::string begin_line(const std::string& task, int progress) {
  return line_of({{"task", task}, {"what", "begin"}, {"progress", progress}});
}

}  // namespace

AttemptLog::AttemptLog(const std::string& path) {
  const std::string text = exists(path) ? read_text(path) : "";
  for (std::size_t from = 0; from < text.size();) {
    const std::size_t end = std::min(text.find('\n', from), text.size());
    const std::string line = text.substr(from, end - from);
    from = end + 1;
    if (!is_sealed_json(line)) continue;
    const Json json = Json::parse(line, nullptr, false);
    if (json.is_discarded()) continue;
    const std::string task = json.value("task", "");
    const std::string what = json.value("what", "");
    if (what == "begin") {
      note_begin(task, json.value("progress", 0));
    } else if (what == "undo") {
      note_undo(task);
    } else {
      unanswered_.erase(task);
    }
  }
  const std::string rest = unanswered_lines();
  if (rest != text) write_text(path, rest);
  open(path, rest);
}

/// The lines that say all that matters still.
std::string AttemptLog::unanswered_lines() const {
  std::string lines;
  for (const auto& [task, attempts] : unanswered_) {
    for (int i = 0; i < attempts.count; ++i) lines += begin_line(task, attempts.progress);
  }
  return lines;
}

void AttemptLog::open(const std::string& path, const std::string& content) {
  file_ = OpenFile(path, O_WRONLY | O_CREAT);
  size_ = static_cast<int64_t>(content.size());
  longest_ = std::max(kLongest, 4 * size_);
}

void AttemptLog::note_begin(const std::string& task, int progress) {
  Attempts& attempts = unanswered_[task];
  if (progress > attempts.progress) attempts = {progress, 0};
  ++attempts.count;
}

void AttemptLog::note_undo(const std::string& task) {
  const auto found = unanswered_.find(task);
  if (found != unanswered_.end() && --found->second.count <= 0) unanswered_.erase(found);
}

void AttemptLog::begin(const std::string& task, int progress) {
  note_begin(task, progress);
  append(begin_line(task, progress));
}

void AttemptLog::end(const std::string& task) {
  unanswered_.erase(task);
  append(line_of({{"task", task}, {"what", "end"}}));
}

void AttemptLog::undo(const std::string& task) {
  note_undo(task);
  append(line_of({{"task", task}, {"what", "undo"}}));
}

int AttemptLog::unanswered(const std::string& task, int progress) const {
  const auto found = unanswered_.find(task);
  if (found == unanswered_.end() || progress > found->second.progress) return 0;
  return found->second.count;
}

void AttemptLog::append(const std::string& line) {
  try {
    file_.write(line, size_);
    size_ += static_cast<int64_t>(line.size());
    if (size_ < longest_) return;
    longest_ = 2 * size_;  // where it cannot be written anew now
    const std::string path = file_.path();
    const std::string rest = unanswered_lines();
    write_text(path, rest);
    open(path, rest);
  } catch (const IoError&) {
  }
}

}  // namespace renas
