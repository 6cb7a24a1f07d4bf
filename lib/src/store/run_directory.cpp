#include "renas/run_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "core/files.h"
#include "core/hdf5.h"
#include "renas/error.h"

namespace fs = std::filesystem;

namespace renas {

namespace {

/// Closes a POSIX file descriptor.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

[[noreturn]] void fail(const std::string& path, const char* what) {
  throw IoError(fmt::format("{}: cannot {}: {}", path, what, errno_text(errno)));
}

void write_text(const std::string& path, const std::string& text) {
  PendingFile pending(path);
  std::ofstream out(pending.partial(), std::ios::binary);
  out << text;
  out.close();
  if (!out) fail(path, "write");
  pending.commit();
}

std::string read_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) fail(path, "open");
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

void make_folder(const std::string& path) {
  std::error_code failure;
  fs::create_directories(path, failure);
  if (failure) {
    throw IoError(fmt::format("{}: cannot make the folder: {}", path, failure.message()));
  }
}

std::string result_file(const std::string& run) { return run + "/result.json"; }
std::string history_file(const std::string& run) { return run + "/history.jsonl"; }
std::string snapshot_file(const std::string& run) { return run + "/search.h5"; }
std::string options_file(const std::string& run) { return run + "/options.toml"; }

}  // namespace

namespace {

/// Whether nothing is in `path` but what a creation that was killed leaves.
bool holds_nothing(const std::string& path) {
  for (const auto& entry : fs::directory_iterator(path)) {
    const std::string name = entry.path().filename();
    const bool unfinished = name == "options.toml.partial" || name == "history.jsonl.partial";
    const bool empty = (name == "weights" || name == "retrain" || name == "history.jsonl") &&
                       fs::is_empty(entry.path());
    if (!unfinished && !empty) return false;
  }
  return true;
}

}  // namespace

RunDirectory RunDirectory::create(const std::string& path, const std::string& options) {
  std::error_code failure;
  if (fs::exists(path, failure) && !holds_nothing(path)) {
    throw InvalidInput(fmt::format(
        "{}: exists and is not empty. Name a new folder, or go on with that run by --resume.",
        path));
  }
  for (const char* folder : {"", "/weights", "/retrain"}) make_folder(path + folder);
  // The options come last: a folder that has them is a run.
  write_text(history_file(path), "");
  write_text(options_file(path), options);
  return RunDirectory(path);
}

RunDirectory RunDirectory::open(const std::string& path) {
  std::error_code failure;
  if (!fs::exists(options_file(path), failure)) {
    throw InvalidInput(fmt::format(
        "{}: is not a run: expected options.toml in it, which renas-search writes first", path));
  }
  // "# renas 0.1.0, run format 1"; a library user's own text may have no such line.
  const std::string text = read_text(options_file(path));
  const std::string key = "run format ";
  const std::size_t at = text.substr(0, text.find('\n')).find(key);
  if (at != std::string::npos && std::atoi(text.c_str() + at + key.size()) > kRunFormat) {
    throw InvalidInput(fmt::format("{}: this run is of a newer format than this program reads ({}); "
                                   "use the program that made it",
                                   path, kRunFormat));
  }
  return RunDirectory(path);
}

RunLock RunDirectory::lock() const {
  const std::string path = path_ + "/lock";
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (file < 0) fail(path, "open");
  struct flock whole {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  if (::fcntl(file, F_SETLK, &whole) != 0 && (errno == EACCES || errno == EAGAIN)) {
    ::close(file);
    throw InvalidInput(fmt::format("{}: another process works on this run: {}", path_,
                                   read_text(path)));
  }
  char host[256] = "";
  ::gethostname(host, sizeof host - 1);
  const std::string holder = fmt::format("{}, process {}\n", host, ::getpid());
  // Only for people: a full disk must not stop a run here.
  if (::ftruncate(file, 0) != 0 || ::pwrite(file, holder.data(), holder.size(), 0) < 0) errno = 0;
  return RunLock(file);
}

RunLock::~RunLock() { ::close(descriptor_); }

void RunDirectory::mark_search_over(uint64_t lines) const {
  write_text(path_ + "/search_over", fmt::format("{}\n", lines));
}

std::optional<uint64_t> RunDirectory::search_over() const {
  std::error_code failure;
  const std::string path = path_ + "/search_over";
  if (!fs::exists(path, failure)) return std::nullopt;
  return std::strtoull(read_text(path).c_str(), nullptr, 10);
}

void RunDirectory::mark_data(const std::string& identity) const {
  write_text(path_ + "/data", identity + "\n");
}

std::optional<std::string> RunDirectory::data() const {
  std::error_code failure;
  const std::string path = path_ + "/data";
  if (!fs::exists(path, failure)) return std::nullopt;
  const std::string text = read_text(path);
  return text.substr(0, text.find('\n'));
}

std::string RunDirectory::options() const { return read_text(options_file(path_)); }

std::vector<HistoryEntry> RunDirectory::history() const {
  const std::string text = read_text(history_file(path_));
  std::vector<HistoryEntry> entries;
  std::size_t from = 0;
  for (std::size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', from)) {
    try {
      entries.push_back(parse_history_line(text.substr(from, end - from)));
    } catch (const InvalidInput& e) {
      throw IoError(
          fmt::format("{}:{}: {}", history_file(path_), entries.size() + 1, e.what()));
    }
    from = end + 1;
  }
  return entries;
}

void RunDirectory::repair_history() const {
  const std::string path = history_file(path_);
  const std::string text = read_text(path);
  const std::size_t last = text.rfind('\n');
  const std::size_t complete = last == std::string::npos ? 0 : last + 1;
  if (complete != text.size() && ::truncate(path.c_str(), static_cast<off_t>(complete)) != 0) {
    fail(path, "cut off an incomplete last line");
  }
}

void RunDirectory::append(const HistoryEntry& entry) const {
  const std::string path = history_file(path_);
  const std::string line = to_json(entry) + "\n";
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  if (file.get() < 0) fail(path, "open");
  struct stat before {};
  if (::fstat(file.get(), &before) != 0) fail(path, "look at");
  const ssize_t written = ::write(file.get(), line.data(), line.size());
  if (written == static_cast<ssize_t>(line.size()) && ::fsync(file.get()) == 0) return;
  const int reason = written >= 0 && written < static_cast<ssize_t>(line.size()) ? ENOSPC : errno;
  // What is there of the line is no line; a reader would leave it out, a writer must not go on it.
  if (::ftruncate(file.get(), before.st_size) != 0) fail(path, "take back half a line");
  errno = reason;
  fail(path, "append");
}

void RunDirectory::save_snapshot(const Snapshot& snapshot) const {
  const h5::Guard guard;
  PendingFile pending(snapshot_file(path_));
  h5::File file = h5::create_file(pending.partial());
  h5::write_attribute(file, "format", std::string("renas-search"));
  h5::write_attribute<int32_t>(file, "format_version", kRunFormat);
  h5::write_attribute<uint64_t>(file, "journal_lines", snapshot.journal_lines);
  for (const auto& [name, array] : snapshot.strategy) {
    for (std::size_t slash = name.find('/'); slash != std::string::npos;
         slash = name.find('/', slash + 1)) {
      const std::string folder = name.substr(0, slash);
      if (!h5::exists(file, folder)) h5::create_group(file, folder);
    }
    std::visit([&file, &path = name](const auto& values) { h5::write(file, path, values); }, array);
  }
  h5::close_file(std::move(file));
  pending.commit();
}

namespace {

/// Reads every data set below `group` into `state`, under names with slashes.
void read_state(hid_t group, const std::string& prefix, State& state) {
  for (const std::string& name : h5::children(group)) {
    H5O_info_t info;
    if (H5Oget_info_by_name(group, name.c_str(), &info, H5P_DEFAULT) < 0) {
      h5::fail(group, "look at '" + name + "'");
    }
    const std::string path = prefix + name;
    if (info.type == H5O_TYPE_GROUP) {
      read_state(h5::open_group(group, name), path + "/", state);
      continue;
    }
    const h5::Dataset dataset = h5::open_dataset(group, name);
    const h5::Type type(H5Dget_type(dataset));
    if (H5Tget_class(type) == H5T_FLOAT) {
      if (H5Tget_size(type) == sizeof(float)) {
        state[path] = h5::read<float>(group, name);
      } else {
        state[path] = h5::read<double>(group, name);
      }
    } else if (H5Tget_sign(type) == H5T_SGN_NONE) {
      state[path] = h5::read<uint64_t>(group, name);
    } else {
      state[path] = h5::read<int64_t>(group, name);
    }
  }
}

}  // namespace

std::optional<Snapshot> RunDirectory::load_snapshot() const {
  const std::string path = snapshot_file(path_);
  std::error_code failure;
  if (!fs::exists(path, failure)) return std::nullopt;
  const h5::Guard guard;
  const h5::File file = h5::open_file(path);
  if (!h5::has_attribute(file, "format") ||
      h5::read_string_attribute(file, "format") != "renas-search") {
    throw IoError(fmt::format("{}: is not a snapshot of a search", path));
  }
  const auto version = h5::read_attribute<int32_t>(file, "format_version");
  if (version != kRunFormat) {
    throw IoError(fmt::format("{}: format version {}, this program reads version {}", path, version,
                              kRunFormat));
  }
  Snapshot snapshot;
  snapshot.journal_lines = h5::read_attribute<uint64_t>(file, "journal_lines");
  read_state(file, "", snapshot.strategy);
  return snapshot;
}

std::string RunDirectory::weights_file(uint64_t id) const {
  return fmt::format("{}/weights/{}.h5", path_, id);
}

void RunDirectory::remove_weights(uint64_t id) const {
  std::error_code failure;  // a file that stays behind costs space, not correctness
  fs::remove(weights_file(id), failure);
}

std::string RunDirectory::retrained_file(const std::string& name) const {
  return fmt::format("{}/retrain/{}.h5", path_, name);
}

std::string RunDirectory::checkpoint_file(const std::string& name) const {
  return fmt::format("{}/retrain/{}.checkpoint.h5", path_, name);
}

void RunDirectory::save_result(const std::string& json) const {
  write_text(result_file(path_), json);
}

std::optional<std::string> RunDirectory::load_result() const {
  std::error_code failure;
  if (!fs::exists(result_file(path_), failure)) return std::nullopt;
  return read_text(result_file(path_));
}

std::string RunDirectory::best_file() const { return path_ + "/best.h5"; }
std::string RunDirectory::log_file() const { return path_ + "/log.txt"; }

}  // namespace renas
