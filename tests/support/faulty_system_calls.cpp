#include "support/faulty_system_calls.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <mutex>

#include "core/system_calls.h"

namespace renas::test {
namespace {

std::mutex mutex;
Fault planned;
bool injecting = false;
int calls = 0;
int hits = 0;
int synced = 0;

/// Whether this call is one that goes wrong.
bool goes_wrong(bool can_be_short, bool takes_space, Fault& fault) {
  const std::lock_guard lock(mutex);
  const int call = calls++;
  fault = planned;
  if (!injecting || call < fault.call || (call > fault.call && !fault.always)) return false;
  const bool applies = fault.kind == Fault::Kind::kError ||
                       (fault.kind == Fault::Kind::kNoSpace && takes_space) ||
                       (fault.kind != Fault::Kind::kNoSpace && can_be_short);
  hits += applies;
  return applies;
}

/// Whether a call that can only succeed or fail fails; errno is then set.
bool fails(bool takes_space) {
  Fault fault;
  if (!goes_wrong(false, takes_space, fault)) return false;
  errno = fault.kind == Fault::Kind::kNoSpace ? ENOSPC : fault.error;
  return true;
}

void count_sync() {
  const std::lock_guard lock(mutex);
  ++synced;
}

}  // namespace

std::string to_string(const Fault& fault) {
  const char* kinds[] = {"error", "short", "torn", "no space"};
  return std::string(kinds[static_cast<int>(fault.kind)]) +
         (fault.error != 0 ? std::string(" ") + std::strerror(fault.error) : "") + " at call " +
         std::to_string(fault.call) + (fault.always ? " and all after it" : "");
}

void inject(const Fault& fault) {
  const std::lock_guard lock(mutex);
  planned = fault;
  injecting = true;
  calls = 0;
  hits = 0;
  synced = 0;
}

int stop_injecting() {
  const std::lock_guard lock(mutex);
  injecting = false;
  return calls;
}

int faults_hit() {
  const std::lock_guard lock(mutex);
  return hits;
}

int syncs() {
  const std::lock_guard lock(mutex);
  return synced;
}

}  // namespace renas::test

namespace renas::sys {

using test::Fault;

int open(const char* path, int flags, mode_t mode) {
  if (test::fails((flags & O_CREAT) != 0)) return -1;
  return ::open(path, flags | O_CLOEXEC, mode);
}

int close(int descriptor) {
  const bool wrong = test::fails(false);  // a close() that fails closes the descriptor too
  const int failure = errno;
  const int result = ::close(descriptor);
  if (!wrong) return result;
  errno = failure;
  return -1;
}

ssize_t pread(int descriptor, void* to, std::size_t size, off_t offset) {
  Fault fault;
  if (test::goes_wrong(true, false, fault)) {
    if (fault.kind == Fault::Kind::kShort) return ::pread(descriptor, to, (size + 1) / 2, offset);
    errno = fault.error;
    return -1;
  }
  return ::pread(descriptor, to, size, offset);
}

ssize_t pwrite(int descriptor, const void* from, std::size_t size, off_t offset) {
  Fault fault;
  if (test::goes_wrong(true, true, fault)) {
    if (fault.kind == Fault::Kind::kShort) {
      return ::pwrite(descriptor, from, (size + 1) / 2, offset);
    }
    if (fault.kind == Fault::Kind::kTorn && ::pwrite(descriptor, from, size / 2, offset) < 0) {
      return -1;
    }
    errno = fault.kind == Fault::Kind::kNoSpace ? ENOSPC : fault.error;
    return -1;
  }
  return ::pwrite(descriptor, from, size, offset);
}

int ftruncate(int descriptor, off_t size) {
  return test::fails(false) ? -1 : ::ftruncate(descriptor, size);
}
int fsync(int descriptor) {
  test::count_sync();
  return test::fails(true) ? -1 : ::fsync(descriptor);
}
int fstat(int descriptor, struct stat* status) {
  return test::fails(false) ? -1 : ::fstat(descriptor, status);
}
int stat(const char* path, struct stat* status) {
  return test::fails(false) ? -1 : ::stat(path, status);
}
int rename(const char* from, const char* to) {
  return test::fails(true) ? -1 : std::rename(from, to);
}

int link(const char* from, const char* to) { return test::fails(true) ? -1 : ::link(from, to); }
int unlink(const char* path) { return test::fails(false) ? -1 : ::unlink(path); }
int mkdir(const char* path, mode_t mode) { return test::fails(true) ? -1 : ::mkdir(path, mode); }
int lock(int) {
  // Test programs share no run, so nothing is locked. A fault looks like the lock of another
  // process.
  return test::fails(false) ? -1 : 0;
}

}  // namespace renas::sys
