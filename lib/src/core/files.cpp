#include "core/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <system_error>

#include "renas/error.h"

namespace renas {
namespace {

std::string folder_of(const std::string& path) {
  const auto slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

void sync(const std::string& path, int flags) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC);
  if (fd < 0) throw IoError(fmt::format("{}: cannot open to sync: {}", path, errno_text(errno)));
  const int result = ::fsync(fd);
  const int failure = errno;
  ::close(fd);
  // Some network file systems cannot sync folders and say EINVAL; there is nothing more to do.
  if (result != 0 && failure != EINVAL) {
    throw IoError(fmt::format("{}: cannot sync to disk: {}", path, errno_text(failure)));
  }
}

}  // namespace

std::string errno_text(int number) { return std::generic_category().message(number); }

void sync_folder(const std::string& folder) { sync(folder, O_RDONLY | O_DIRECTORY); }

PendingFile::PendingFile(const std::string& path) : path_(path), partial_(path + ".partial") {
  // Fails here, with the system's reason, rather than in the middle of some library's own words.
  const int fd = ::open(partial_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) throw IoError(fmt::format("{}: cannot write: {}", partial_, errno_text(errno)));
  // HDF5 does not survive failing at a file's first bytes: see that a few fit.
  const char bytes[4096] = {};
  const bool fits = ::pwrite(fd, bytes, sizeof bytes, 0) == sizeof bytes && ::ftruncate(fd, 0) == 0;
  const int failure = errno;
  ::close(fd);
  if (!fits) {
    ::unlink(partial_.c_str());
    throw IoError(fmt::format("{}: cannot write: {}", partial_, errno_text(failure)));
  }
}

PendingFile::~PendingFile() {
  if (!committed_) ::unlink(partial_.c_str());
}

void PendingFile::commit() {
  sync(partial_, O_RDONLY);
  if (std::rename(partial_.c_str(), path_.c_str()) != 0) {
    throw IoError(fmt::format("{}: cannot rename to {}: {}", partial_, path_, errno_text(errno)));
  }
  committed_ = true;
  sync_folder(folder_of(path_));
}

}  // namespace renas
