#include "core/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include "core/system_calls.h"
#include "renas/error.h"

namespace fs = std::filesystem;

namespace renas {
namespace {

constexpr std::string_view kPartial = ".partial";

[[noreturn]] void fail(const std::string& path, const std::string& what, int number) {
  throw IoError(fmt::format("{}: cannot {}: {}", final_name(path), what, errno_text(number)));
}

std::string folder_of(const std::string& path) {
  const auto slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

/// The process in "NAME.HOST.PID-N.partial" if HOST is this machine; else 0.
pid_t writer_of(const std::string& partial, const std::string& prefix) {
  if (!partial.starts_with(prefix) || !partial.ends_with(kPartial)) return 0;
  pid_t pid = 0;
  const char* begin = partial.data() + prefix.size();
  const auto [rest, failure] = std::from_chars(begin, partial.data() + partial.size(), pid);
  return failure == std::errc() && *rest == '-' ? pid : 0;
}

/// Calls `take` with the name of each entry of `folder`; a folder that cannot be read has none.
template <class Take>
void for_each_entry(const std::string& folder, const Take& take) {
  std::error_code failure;
  for (fs::directory_iterator at(folder, failure), end; !failure && at != end;
       at.increment(failure)) {
    take(at->path().filename().string());
  }
}

}  // namespace

std::string errno_text(int number) { return std::generic_category().message(number); }

std::string host_name() {
  char name[256] = "";
  ::gethostname(name, sizeof name - 1);
  return name;
}

OpenFile::OpenFile(const std::string& path, int flags, const char* what) : path_(path) {
  descriptor_ = sys::open(path.c_str(), flags, 0666);
  if (descriptor_ < 0) fail(what);
}

std::optional<OpenFile> OpenFile::make_new(const std::string& path) {
  OpenFile file;
  file.path_ = path;
  file.descriptor_ = sys::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0666);
  if (file.descriptor_ >= 0) return file;
  if (errno == EEXIST) return std::nullopt;
  file.fail("write");
}

OpenFile::~OpenFile() {
  if (descriptor_ >= 0) sys::close(descriptor_);
}

void OpenFile::fail(const char* what) const { renas::fail(path_, what, errno); }

int64_t OpenFile::size() const {
  struct stat status {};
  if (sys::fstat(descriptor_, &status) != 0) fail("look at");
  return status.st_size;
}

std::size_t OpenFile::read(void* to, std::size_t size, int64_t offset) const {
  std::size_t got = 0;
  errno = read_fully(descriptor_, to, size, offset, got);
  if (errno != 0) fail("read");
  return got;
}

void OpenFile::write(std::string_view bytes, int64_t offset) {
  errno = write_fully(descriptor_, bytes.data(), bytes.size(), offset);
  if (errno != 0) fail("write");
}

void OpenFile::truncate(int64_t size) {
  if (sys::ftruncate(descriptor_, size) != 0) fail("shorten");
}

void OpenFile::sync() {
  // Some network file systems cannot sync folders and say EINVAL; there is nothing more to do.
  if (sys::fsync(descriptor_) != 0 && errno != EINVAL) fail("sync to disk");
}

void OpenFile::close() {
  if (sys::close(std::exchange(descriptor_, -1)) != 0 && errno != EINTR) fail("close");
}

int write_fully(int descriptor, const void* bytes, std::size_t size, off_t offset) {
  const char* from = static_cast<const char*>(bytes);
  while (size > 0) {
    const ssize_t written = sys::pwrite(descriptor, from, size, offset);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    if (written == 0) return ENOSPC;
    from += written;
    offset += written;
    size -= written;
  }
  return 0;
}

int read_fully(int descriptor, void* to, std::size_t size, off_t offset, std::size_t& got) {
  for (got = 0; got < size;) {
    const ssize_t count = sys::pread(descriptor, static_cast<char*>(to) + got, size - got,
                                     offset + static_cast<off_t>(got));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno;
    if (count == 0) break;
    got += count;
  }
  return 0;
}

std::string read_text(const std::string& path) {
  const OpenFile file(path, O_RDONLY);
  std::string text(file.size(), '\0');
  text.resize(file.read(text.data(), text.size(), 0));
  return text;
}

bool exists(const std::string& path) {
  struct stat status {};
  if (sys::stat(path.c_str(), &status) == 0) return true;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  fail(path, "look at it", errno);
}

void remove_file(const std::string& path) {
  if (sys::unlink(path.c_str()) != 0 && errno != ENOENT) fail(path, "remove", errno);
}

void make_folders(const std::string& path) {
  for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const std::string folder = path.substr(0, end);
    if (sys::mkdir(folder.c_str(), 0777) != 0) {
      const int failure = errno;  // some systems say EROFS or EACCES of folders that exist
      std::error_code ignored;
      if (!fs::is_directory(folder, ignored)) {
        fail(folder, "make the folder", failure == EEXIST ? ENOTDIR : failure);
      }
    }
    if (end == std::string::npos) return;
  }
}

PendingFile::PendingFile(const std::string& path) : path_(path) {
  std::optional<OpenFile> file;
  for (int number = 0; !file; ++number) {
    partial_ = fmt::format("{}.{}.{}-{}{}", path, host_name(), ::getpid(), number, kPartial);
    file = OpenFile::make_new(partial_);
  }
  file_ = std::move(*file);
}

PendingFile::~PendingFile() {
  if (!committed_) sys::unlink(partial_.c_str());
}

void PendingFile::write(std::string_view content) { file_.write(content, 0); }

namespace {

/// Gives the file at `path` the name `previous` too; it replaces the file that had it.
void keep_as(const std::string& path, const std::string& previous) {
  if (sys::unlink(previous.c_str()) != 0 && errno != ENOENT) {
    fail(previous, "remove it", errno);
  }
  if (sys::link(path.c_str(), previous.c_str()) == 0) return;
  const bool has_no_links = errno == EPERM || errno == EOPNOTSUPP || errno == ENOSYS;
  if (!has_no_links || sys::rename(path.c_str(), previous.c_str()) != 0) {
    fail(path, "keep it as " + previous, errno);
  }
}

}  // namespace

void PendingFile::commit(const std::string& previous) {
  file_.sync();
  file_.close();
  if (!previous.empty() && exists(path_)) keep_as(path_, previous);
  if (sys::rename(partial_.c_str(), path_.c_str()) != 0) {
    fail(path_, "rename its partial file to it", errno);
  }
  committed_ = true;
  sync_folder(folder_of(path_));
}

std::string final_name(const std::string& path) {
  if (!path.ends_with(kPartial)) return path;
  return path.substr(0, path.rfind(fmt::format(".{}.", host_name())));
}

void write_text(const std::string& path, std::string_view content) {
  PendingFile pending(path);
  pending.write(content);
  pending.commit();
}

void remove_stale_partials(const std::string& path) {
  const std::string folder = folder_of(path);
  const std::string prefix = fmt::format("{}.{}.", fs::path(path).filename().string(), host_name());
  for_each_entry(folder, [&](const std::string& name) {
    const pid_t writer = writer_of(name, prefix);
    if (writer > 0 && ::kill(writer, 0) != 0 && errno == ESRCH) {
      sys::unlink((folder + "/" + name).c_str());
    }
  });
}

void remove_all_partials(const std::string& folder) {
  for_each_entry(folder, [&](const std::string& name) {
    if (name.ends_with(kPartial)) sys::unlink((folder + "/" + name).c_str());
  });
}

void sync_folder(const std::string& folder) {
  OpenFile file(folder, O_RDONLY | O_DIRECTORY, "open to sync");
  file.sync();
}

}  // namespace renas
