#include "renas/run_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <filesystem>
#include <sstream>
#include <string_view>
#include <vector>

#include "core/checksum.h"
#include "core/files.h"
#include "core/system_calls.h"
#include "renas/error.h"
#include "store/snapshot.h"

namespace fs = std::filesystem;

namespace renas {

namespace {

std::string result_file(const std::string& run) { return run + "/result.json"; }
std::string history_file(const std::string& run) { return run + "/history.jsonl"; }
std::string snapshot_file(const std::string& run) { return run + "/search.h5"; }
std::string previous_snapshot_file(const std::string& run) { return run + "/search.previous.h5"; }
std::string options_file(const std::string& run) { return run + "/options.toml"; }
std::string results_file(const std::string& run) { return run + "/results.jsonl"; }

using Kind = RunDirectory::Kind;
const char* program_of(Kind kind) { return kind == Kind::kSearch ? "renas-search" : "renas-train"; }
/// The words before the format's number in the first line of a folder's options.
const char* format_key(Kind kind) { return kind == Kind::kSearch ? "run format " : "list format "; }
int format_of(Kind kind) { return kind == Kind::kSearch ? kRunFormat : kListFormat; }

/// Where create() keeps the text called `name`.
std::string input_file(const std::string& run, const std::string& name) {
  return fmt::format("{}/{}", run, name);
}

/// The sealed text in `bytes`, with one flipped bit repaired; none where the checksum does not
/// hold.
std::optional<std::string> unseal_or_mend(const std::string& bytes) {
  if (auto body = unseal_text(bytes)) return body;
  const auto mended = repair_bit(
      bytes, [](std::string_view candidate) { return unseal_text(candidate).has_value(); });
  return mended ? unseal_text(*mended) : std::nullopt;
}

/// Reads the text that write_text(path, seal_text(...)) wrote; none where there is no such file.
/// Throws IoError with `advice` where it is damaged.
std::optional<std::string> read_sealed(const std::string& path, const std::string& advice) {
  if (!exists(path)) return std::nullopt;
  auto text = unseal_or_mend(read_text(path));
  if (text) return text;
  throw IoError(
      fmt::format("{}: was changed or is damaged: its checksum does not hold; {}", path, advice));
}

/// Whether `path` holds nothing but what a killed creation of a run leaves.
bool holds_nothing(const std::string& path) {
  std::error_code failure;
  for (fs::directory_iterator at(path, failure), end; !failure && at != end;
       at.increment(failure)) {
    const std::string name = at->path().filename();
    const bool unfinished =
        name == "lock" || name.ends_with(".partial") ||
        ((name == "space" || name == "initial_genomes" || name == "cells") &&
         at->is_regular_file(failure) && unseal_text(read_text(at->path().string())));
    const bool empty = (name == "weights" || name == "retrain" || name == "history.jsonl" ||
                        name == "results.jsonl") &&
                       fs::is_empty(at->path(), failure);
    if (!unfinished && !empty) return false;
  }
  if (failure) {
    throw InvalidInput(
        fmt::format("{}: expected a folder, or nothing yet: {}", path, failure.message()));
  }
  return true;
}

/// `path`, or with the first number from 2 that nothing is called by.
std::string unused_name(const std::string& path) {
  std::string name = path;
  for (int number = 2; exists(name); ++number) name = fmt::format("{}-{}", path, number);
  return name;
}

std::string with_header(const std::string& options, Kind kind) {
  return fmt::format("# renas {}, {}{}\n{}", RENAS_VERSION, format_key(kind), format_of(kind),
                     options);
}

/// The format's number behind `key` in the first line; 0: there is none.
int read_format(const std::string& text, const std::string& key) {
  const std::size_t at = text.substr(0, text.find('\n')).find(key);
  int format = 0;
  if (at != std::string::npos) {
    std::from_chars(text.data() + at + key.size(), text.data() + text.size(), format);
  }
  return format;
}

}  // namespace

namespace {

/// Opens and locks the file `path`, and writes this process's name into it. Throws InvalidInput
/// with `complaint` and the holder's name where another has locked it. Sets `guards` to false where
/// the file system has no locks.
int open_locked(const std::string& path, const std::string& complaint, bool& guards) {
  const int descriptor = sys::open(path.c_str(), O_RDWR | O_CREAT, 0666);
  if (descriptor < 0) {
    throw IoError(fmt::format("{}: cannot open: {}", path, errno_text(errno)));
  }
  if (sys::lock(descriptor) != 0) {
    const int failure = errno;
    if (failure == EACCES || failure == EAGAIN) {
      sys::close(descriptor);
      throw InvalidInput(fmt::format("{}: {}", complaint, read_text(path)));
    }
    guards = false;
  }
  // The holder's name is only for people, so a full disk does not stop a run here.
  const std::string holder = fmt::format("{}, process {}\n", host_name(), ::getpid());
  if (sys::ftruncate(descriptor, 0) == 0) {
    write_fully(descriptor, holder.data(), holder.size(), 0);
  }
  return descriptor;
}

/// Whether `path` still names the file that `descriptor` has open.
bool is_still(const std::string& path, int descriptor) {
  struct stat opened {};
  struct stat named {};
  return sys::fstat(descriptor, &opened) == 0 && sys::stat(path.c_str(), &named) == 0 &&
         opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

}  // namespace

RunLock::RunLock(const std::string& folder) {
  make_folders(folder);
  descriptor_ = open_locked(folder + "/lock",
                            fmt::format("{}: another process works on this run", folder), guards_);
}

RunLock::~RunLock() { sys::close(descriptor_); }

FileLock::FileLock(const std::string& file) : path_(file + ".lock") {
  const std::string complaint = fmt::format("{}: another process is making this file", file);
  bool guards = true;
  // Where the holder before removed the lock between opening and locking, nobody else would see it.
  for (;;) {
    descriptor_ = open_locked(path_, complaint, guards);
    if (!guards || is_still(path_, descriptor_)) return;
    sys::close(descriptor_);
  }
}

FileLock::~FileLock() {
  sys::unlink(path_.c_str());
  sys::close(descriptor_);
}

void RunDirectory::check_unused(const std::string& path) {
  if (exists(path) && !holds_nothing(path)) {
    throw InvalidInput(fmt::format(
        "{}: exists and is not empty. Name a new folder, or go on with that run by --resume.",
        path));
  }
}

RunDirectory RunDirectory::create(const std::string& path, const std::string& options,
                                  const RunInputs& inputs, Kind kind) {
  check_unused(path);
  make_folders(path + "/retrain");
  if (kind == Kind::kSearch) make_folders(path + "/weights");
  write_text(kind == Kind::kSearch ? history_file(path) : results_file(path), "");
  for (const auto& [name, text] : inputs) write_text(input_file(path, name), seal_text(text));
  // The options come last: a folder that has them is a run.
  RunDirectory run(path, kind);
  run.replace_options(options);
  return run;
}

RunDirectory RunDirectory::open(const std::string& path, Kind kind) {
  if (!exists(options_file(path))) {
    throw InvalidInput(
        fmt::format("{}: is not a run: expected options.toml in it, which {} writes first", path,
                    program_of(kind)));
  }
  const std::string text = read_text(options_file(path));
  const std::string readable = unseal_or_mend(text).value_or(text);
  const Kind other = kind == Kind::kSearch ? Kind::kList : Kind::kSearch;
  if (read_format(readable, format_key(other)) != 0) {
    throw InvalidInput(fmt::format("{}: is of {}, expected a folder of {}", path, program_of(other),
                                   program_of(kind)));
  }
  const int format = read_format(readable, format_key(kind));
  const int known = format_of(kind);
  if (format != 0 && format != known) {
    throw InvalidInput(
        fmt::format("{}: this run is of format {}, this program reads format {}; use the {} "
                    "program that made it",
                    path, format, known, format < known ? "older" : "newer"));
  }
  RunDirectory run(path, kind);
  run.options();  // refuses damaged ones now
  return run;
}

std::string RunDirectory::options() const {
  const auto text = read_sealed(
      options_file(path_),
      "the options of a run stay as they were when it began: restore the file from a copy");
  if (!text) throw IoError(fmt::format("{}: cannot open: it is gone", options_file(path_)));
  return text->substr(text->find('\n') + 1);
}

void RunDirectory::replace_options(const std::string& options) const {
  write_text(options_file(path_), seal_text(with_header(options, kind_)));
}

std::optional<std::string> RunDirectory::input(const std::string& name) const {
  return read_sealed(input_file(path_, name),
                     "a run goes on with what it began with: restore the file from a copy");
}

void RunDirectory::remove_result() const {
  remove_file(result_file(path_));
  remove_file(best_file());
}

void RunDirectory::prepare_to_resume() const {
  std::vector<std::string> folders{path_ + "/retrain"};
  if (kind_ == Kind::kSearch) folders.push_back(path_ + "/weights");
  for (const std::string& folder : folders) make_folders(folder);
  folders.push_back(path_);
  for (const std::string& folder : folders) remove_all_partials(folder);
}

void RunDirectory::mark_search_over(const SearchEnd& end) const {
  write_text(path_ + "/search_over", seal_text(fmt::format("{} of {}\n", end.lines, end.budget)));
}

void RunDirectory::remove_search_over() const { remove_file(path_ + "/search_over"); }

std::optional<SearchEnd> RunDirectory::search_over() const {
  const auto text = read_sealed(path_ + "/search_over",
                                "remove it to let the search end by its number of children again");
  if (!text) return std::nullopt;
  SearchEnd end;
  const char* last = text->data() + text->size();
  const char* at = std::from_chars(text->data(), last, end.lines).ptr;
  constexpr std::string_view kOf = " of ";
  if (std::string_view(at, static_cast<std::size_t>(last - at)).starts_with(kOf)) {
    std::from_chars(at + kOf.size(), last, end.budget);
  }
  return end;
}

void RunDirectory::mark_data(const std::string& identity) const {
  write_text(path_ + "/data", seal_text(identity + "\n"));
}

std::optional<std::string> RunDirectory::data() const {
  const auto text =
      read_sealed(path_ + "/data", "remove it to go on with the data set that is given");
  if (!text) return std::nullopt;
  return text->substr(0, text->find('\n'));
}

History RunDirectory::read_history() const { return parse_history(read_text(history_file(path_))); }

std::vector<HistoryEntry> RunDirectory::history() const {
  History history = read_history();
  if (!history.missing.empty()) {
    throw IoError(fmt::format("{}:{}: the line is lost, or damaged beyond repair",
                              history_file(path_), history.missing.front() + 1));
  }
  return std::move(history.entries);
}

void RunDirectory::repair_history(uint64_t end) const {
  const std::string path = history_file(path_);
  const std::string text = read_text(path);
  const History history = parse_history(text);
  std::string kept;
  for (const HistoryEntry& e : history.entries) {
    if (e.line < end) kept += to_json(e) + "\n";
  }
  if (kept == text) return;
  if (!text.starts_with(kept) || text.find('\n', kept.size()) != std::string::npos) {
    write_text(unused_name(path + ".damaged"), text);
  }
  write_text(path, kept);
}

namespace {

/// Where the next line of a file of lines goes: behind the last whole one. Half a line that a
/// failed append left, which could not be taken back then, is cut off.
int64_t end_of_lines(OpenFile& file) {
  const int64_t size = file.size();
  char last = '\n';
  if (size > 0) file.read(&last, 1, size - 1);
  if (last == '\n') return size;
  const std::string text = read_text(file.path());
  const auto end = static_cast<int64_t>(text.rfind('\n') + 1);  // 0 where there is none
  file.truncate(end);
  return end;
}

/// Appends lines, and waits until they are on disk. A file that fails is as it was.
void append_lines(const std::string& path, const std::string& lines) {
  OpenFile file(path, O_RDWR);
  const int64_t end = end_of_lines(file);
  try {
    file.write(lines, end);
    file.sync();
  } catch (const IoError&) {
    try {
      file.truncate(end);
    } catch (const IoError&) {  // the next append cuts it off; readers leave half a line out
    }
    throw;
  }
  file.close();
}

}  // namespace

void RunDirectory::append(std::span<const HistoryEntry> entries) const {
  std::string lines;
  for (const HistoryEntry& entry : entries) lines += to_json(entry) + "\n";
  append_lines(history_file(path_), lines);
}

void RunDirectory::append(const TrainedCell& cell) const {
  append_lines(results_file(path_), to_json(cell) + "\n");
}

std::vector<TrainedCell> RunDirectory::trained_cells() const {
  std::vector<TrainedCell> cells;
  if (!exists(results_file(path_))) return cells;
  std::istringstream lines(read_text(results_file(path_)));
  for (std::string line; std::getline(lines, line);) {
    if (!is_sealed_json(line)) line = repair_bit(line, is_sealed_json).value_or("");
    try {
      cells.push_back(parse_trained_cell(line));
    } catch (const InvalidInput&) {  // its cell is trained again
    }
  }
  return cells;
}

void RunDirectory::save_snapshot(const Snapshot& snapshot) const {
  renas::save_snapshot(snapshot_file(path_), snapshot, previous_snapshot_file(path_));
}

std::optional<Snapshot> RunDirectory::load_snapshot(std::string* problem) const {
  const std::string last = snapshot_file(path_);
  const std::string previous = previous_snapshot_file(path_);
  std::string reason = last + ": cannot open: it is gone";
  if (exists(last)) {
    try {
      return renas::load_snapshot(last);
    } catch (const IoError& e) {
      if (!exists(previous)) throw;
      reason = e.what();
    }
  } else if (!exists(previous)) {
    return std::nullopt;
  }
  Snapshot snapshot = renas::load_snapshot(previous);
  if (problem != nullptr) *problem = reason;
  return snapshot;
}

std::string RunDirectory::weights_file(uint64_t id) const {
  return fmt::format("{}/weights/{}.h5", path_, id);
}

void RunDirectory::remove_weights(uint64_t id) const {
  sys::unlink(weights_file(id).c_str());  // a file that stays behind costs space, not correctness
}

std::string RunDirectory::retrained_file(const std::string& name) const {
  return fmt::format("{}/retrain/{}.h5", path_, name);
}

std::string RunDirectory::checkpoint_file(const std::string& name) const {
  return fmt::format("{}/retrain/{}.checkpoint.h5", path_, name);
}

void RunDirectory::save_result(const RunResult& result) const {
  write_text(result_file(path_), seal_json(to_json(result)) + "\n");
}

std::optional<RunResult> RunDirectory::load_result() const {
  const std::string path = result_file(path_);
  if (!exists(path)) return std::nullopt;
  std::string text = read_text(path);
  if (!is_sealed_json(text)) {
    const auto mended = repair_bit(text, is_sealed_json);
    if (!mended) {
      throw IoError(
          fmt::format("{}: was changed or is damaged: its checksum does not hold; renas-search "
                      "--resume of the run writes it anew",
                      path));
    }
    text = *mended;
  }
  return parse_result(text);
}

std::string RunDirectory::best_file() const { return path_ + "/best.h5"; }
std::string RunDirectory::log_file() const { return path_ + "/log.txt"; }
std::string RunDirectory::attempts_file() const { return path_ + "/attempts.jsonl"; }

}  // namespace renas
