// Preloaded into a program (LD_PRELOAD), makes the disk full for files named *.partial once one of
// them would grow beyond RENAS_DISK_BYTES.

#include <dlfcn.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

bool is_full(int fd, size_t count, off64_t offset) {
  char path[4096];
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t length = readlink(link.c_str(), path, sizeof path);
  const char* limit = std::getenv("RENAS_DISK_BYTES");
  return length > 0 && limit != nullptr &&
         std::string_view(path, static_cast<size_t>(length)).ends_with(".partial") &&
         offset + static_cast<off64_t>(count) > std::atoll(limit);
}

}  // namespace

extern "C" ssize_t pwrite64(int fd, const void* from, size_t count, off64_t offset) {
  using Function = ssize_t (*)(int, const void*, size_t, off64_t);
  static const auto real = reinterpret_cast<Function>(dlsym(RTLD_NEXT, "pwrite64"));
  if (is_full(fd, count, offset)) {
    errno = ENOSPC;
    return -1;
  }
  return real(fd, from, count, offset);
}

extern "C" ssize_t pwrite(int fd, const void* from, size_t count, off_t offset) {
  return pwrite64(fd, from, count, offset);
}
