#include "files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "renas/error.h"

namespace renas::prep {

std::vector<uint8_t> read_file(const std::string& path, int64_t limit) {
  const auto fail = [&path](const char* what) {
    const int number = errno;
    throw IoError(
        fmt::format("{}: cannot {}: {}", path, what, std::generic_category().message(number)));
  };
  struct Descriptor {
    int fd;
    ~Descriptor() {
      if (fd >= 0) ::close(fd);
    }
    // O_NONBLOCK, because opening a named pipe would otherwise wait for a writer.
  } const file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.fd < 0) fail("open");
  struct stat status = {};
  if (::fstat(file.fd, &status) != 0) fail("open");
  if (!S_ISREG(status.st_mode)) throw InvalidInput(fmt::format("{}: not a file", path));
  if (status.st_size > limit) {
    throw InvalidInput(fmt::format("{}: {} bytes, more than the limit of {}", path,
                                   static_cast<int64_t>(status.st_size), limit));
  }
  std::vector<uint8_t> bytes(status.st_size);
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = ::read(file.fd, bytes.data() + done, bytes.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("read");
    if (got == 0) break;  // it shrank
    done += got;
  }
  bytes.resize(done);
  return bytes;
}

std::vector<std::string> read_lines(const std::string& path) {
  std::vector<std::string> lines;
  std::string line;
  const auto end_line = [&] {
    const auto last = line.find_last_not_of(" \t\r");
    line.resize(last == std::string::npos ? 0 : last + 1);
    lines.push_back(line);
    line.clear();
  };
  for (const uint8_t byte : read_file(path)) {
    if (byte == '\n') {
      end_line();
    } else {
      line.push_back(static_cast<char>(byte));
    }
  }
  if (!line.empty()) end_line();
  return lines;
}

}  // namespace renas::prep
