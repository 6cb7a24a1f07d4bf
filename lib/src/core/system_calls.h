#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstddef>

/// The system calls behind every file that the library writes, and behind most that it reads.
///
/// Each function forwards to the call of its name, with that call's results and errno. The
/// functions are a file of their own so that a test can link others in their place, which fail at
/// the n-th call (tests/support/faulty_system_calls.h).
namespace renas::sys {

int open(const char* path, int flags, mode_t mode = 0);
int close(int descriptor);
ssize_t pread(int descriptor, void* to, std::size_t size, off_t offset);
ssize_t pwrite(int descriptor, const void* from, std::size_t size, off_t offset);
int ftruncate(int descriptor, off_t size);
int fsync(int descriptor);
int fstat(int descriptor, struct stat* status);
int stat(const char* path, struct stat* status);
int rename(const char* from, const char* to);
int link(const char* from, const char* to);
int unlink(const char* path);
int mkdir(const char* path, mode_t mode);
/// Locks the whole file for writing by fcntl, without waiting. The lock belongs to the descriptor
/// where the system can do that (F_OFD_SETLK), else to the process (F_SETLK).
int lock(int descriptor);

}  // namespace renas::sys
