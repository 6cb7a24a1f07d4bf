#include "core/system_calls.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace renas::sys {

int open(const char* path, int flags, mode_t mode) { return ::open(path, flags | O_CLOEXEC, mode); }
int close(int descriptor) { return ::close(descriptor); }
ssize_t pread(int descriptor, void* to, std::size_t size, off_t offset) {
  return ::pread(descriptor, to, size, offset);
}
ssize_t pwrite(int descriptor, const void* from, std::size_t size, off_t offset) {
  return ::pwrite(descriptor, from, size, offset);
}
int ftruncate(int descriptor, off_t size) { return ::ftruncate(descriptor, size); }
int fsync(int descriptor) { return ::fsync(descriptor); }
int fstat(int descriptor, struct stat* status) { return ::fstat(descriptor, status); }
int stat(const char* path, struct stat* status) { return ::stat(path, status); }
int rename(const char* from, const char* to) { return std::rename(from, to); }
int link(const char* from, const char* to) { return ::link(from, to); }
int unlink(const char* path) { return ::unlink(path); }
int mkdir(const char* path, mode_t mode) { return ::mkdir(path, mode); }
int lock(int descriptor) {
  struct flock whole {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
#ifdef F_OFD_SETLK
  const int result = ::fcntl(descriptor, F_OFD_SETLK, &whole);
  if (result == 0 || errno != EINVAL) return result;
#endif
  return ::fcntl(descriptor, F_SETLK, &whole);
}

}  // namespace renas::sys
