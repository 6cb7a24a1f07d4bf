#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace renas {

/// The system's text for an errno, such as "No space left on device".
std::string errno_text(int number);

/// The name of this machine, for people.
std::string host_name();

/// An open file. The destructor closes it and ignores a failure, which is right for a file that was
/// only read. A writer calls close(), which reports failures.
class OpenFile {
 public:
  OpenFile() = default;
  /// Opens `path` with the flags of open(2). Throws IoError "PATH: cannot WHAT: reason".
  OpenFile(const std::string& path, int flags, const char* what = "open");
  /// Makes a new file to write to; none where there is one of this name. Throws IoError.
  static std::optional<OpenFile> make_new(const std::string& path);
  OpenFile(OpenFile&& other) noexcept
      : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}
  OpenFile& operator=(OpenFile&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~OpenFile();

  int descriptor() const { return descriptor_; }
  const std::string& path() const { return path_; }
  int64_t size() const;  ///< in bytes. Throws IoError.
  /// Reads up to `size` bytes at `offset`; fewer only at the end of the file. Throws IoError.
  std::size_t read(void* to, std::size_t size, int64_t offset) const;
  /// Writes all of `bytes` at `offset`. Throws IoError.
  void write(std::string_view bytes, int64_t offset);
  void truncate(int64_t size);  ///< Throws IoError.
  /// Waits until all that was written is on disk. Throws IoError.
  void sync();
  void close();  ///< Throws IoError.

 private:
  [[noreturn]] void fail(const char* what) const;
  std::string path_;
  int descriptor_ = -1;
};

/// Writes all of `bytes`, however many calls that takes. Returns 0, or the errno of a failure; a
/// call that writes nothing counts as ENOSPC.
int write_fully(int descriptor, const void* bytes, std::size_t size, off_t offset);
/// Reads until `size` bytes are there or the file ends; `got` says how many. Returns 0 or an errno.
int read_fully(int descriptor, void* to, std::size_t size, off_t offset, std::size_t& got);

/// Reads all bytes of a file. Throws IoError with the system's reason.
std::string read_text(const std::string& path);

/// Whether there is a file or folder of this name. Throws IoError where the system cannot tell: a
/// failure to look must not pass for absence.
bool exists(const std::string& path);

/// Removes a file; absence is success. Throws IoError.
void remove_file(const std::string& path);

/// Makes a folder and those above it. Throws IoError.
void make_folders(const std::string& path);

/// A file that appears whole or not at all: it is written beside its final name, made durable, and
/// renamed by commit(). A process killed at any moment leaves the previous file, if any, and
/// perhaps its own `PATH.HOST.PID-N.partial`, whose name no other process uses.
class PendingFile {
 public:
  /// Creates the partial file. Throws IoError where the folder of `path` does not exist or cannot
  /// be written.
  explicit PendingFile(const std::string& path);
  PendingFile(const PendingFile&) = delete;
  PendingFile& operator=(const PendingFile&) = delete;
  /// Removes the partial file unless commit() succeeded.
  ~PendingFile();

  /// The path of the partial file, to which the content is written. Whoever opens it closes it
  /// before commit().
  const std::string& partial() const { return partial_; }
  /// Writes the whole content from memory. Throws IoError.
  void write(std::string_view content);
  /// Makes the file durable (fsync), renames it over `path` and makes the folder durable. Throws
  /// IoError; the partial file is then gone and `path` is as it was, unless only the folder's fsync
  /// failed. Where `previous` is not empty, the file that was called `path` keeps that name, and is
  /// `path` until the new one is (but for a moment, where the file system has no hard links).
  void commit(const std::string& previous = "");

 private:
  std::string path_;
  std::string partial_;
  OpenFile file_;
  bool committed_ = false;
};

/// The final name of a partial file, for messages; other names are returned as they are.
std::string final_name(const std::string& path);

/// Writes a whole file by PendingFile. Throws IoError.
void write_text(const std::string& path, std::string_view content);

/// Removes what dead processes of this machine left of `path` (PendingFile). Failures are ignored:
/// what stays behind costs space only.
void remove_stale_partials(const std::string& path);
/// Removes every `*.partial` in `folder`. The caller knows that no other process writes there.
void remove_all_partials(const std::string& folder);

/// Makes the entries of `folder` durable. Throws IoError.
void sync_folder(const std::string& folder);

}  // namespace renas
