#pragma once

#include <string>

namespace renas {

/// "No space left on device" and the like, for an errno.
std::string errno_text(int number);

/// A file that appears whole or not at all: it is written beside its final name as `PATH.partial`,
/// made durable, and renamed by commit(). A process killed at any moment leaves the previous file,
/// if any, and perhaps a .partial, which the next PendingFile of the path replaces.
class PendingFile {
 public:
  /// Throws IoError where the folder of `path` does not exist or cannot be written.
  explicit PendingFile(const std::string& path);
  PendingFile(const PendingFile&) = delete;
  PendingFile& operator=(const PendingFile&) = delete;
  /// Removes the .partial unless commit() succeeded.
  ~PendingFile();

  /// Write the content to a file of this name, and close it before commit().
  const std::string& partial() const { return partial_; }
  /// fsync, rename over `path`, fsync of the folder. Throws IoError.
  void commit();

 private:
  std::string path_;
  std::string partial_;
  bool committed_ = false;
};

/// Makes the entries of `folder` durable. Throws IoError.
void sync_folder(const std::string& folder);

}  // namespace renas
