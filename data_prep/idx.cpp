#include "idx.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <system_error>

#include "renas/error.h"

namespace renas::prep {
namespace {

std::size_t read_fully(const ByteReader& read, uint8_t* to, std::size_t wanted) {
  std::size_t done = 0;
  while (done < wanted) {
    const std::size_t got = read(to + done, wanted - done);
    if (got == 0) break;
    done += got;
  }
  return done;
}

}  // namespace

IdxArray parse_idx(const ByteReader& read, const std::string& name) {
  uint8_t magic[4] = {};
  if (read_fully(read, magic, 4) != 4 || magic[0] != 0 || magic[1] != 0 || magic[2] != 8 ||
      magic[3] < 1 || magic[3] > 4) {
    throw InvalidInput(fmt::format(
        "{}: not an IDX file of unsigned bytes (it begins {:02x} {:02x} {:02x} {:02x}; expected 00 "
        "00 08 and the number of dimensions, 1 to 4)",
        name, magic[0], magic[1], magic[2], magic[3]));
  }
  IdxArray array;
  uint64_t size = 1;
  for (int i = 0; i < magic[3]; ++i) {
    uint8_t b[4] = {};
    if (read_fully(read, b, 4) != 4) {
      throw InvalidInput(fmt::format("{}: the file ends within its header", name));
    }
    const uint64_t dim =
        (uint64_t{b[0]} << 24) | (uint64_t{b[1]} << 16) | (uint64_t{b[2]} << 8) | b[3];
    if (dim != 0 && size > (uint64_t{1} << 40) / dim) {
      throw InvalidInput(fmt::format("{}: the header speaks of more than 2^40 values", name));
    }
    size *= dim;
    array.dims.push_back(static_cast<int64_t>(dim));
  }
  while (array.values.size() < size) {
    const std::size_t before = array.values.size();
    const std::size_t step = std::min<uint64_t>(size - before, uint64_t{1} << 20);
    array.values.resize(before + step);
    const std::size_t got = read_fully(read, array.values.data() + before, step);
    if (got < step) {
      throw InvalidInput(fmt::format("{}: the header speaks of {} values ({}), the file has {}",
                                     name, size, fmt::join(array.dims, " x "), before + got));
    }
  }
  uint8_t more = 0;
  if (read(&more, 1) != 0) {
    throw InvalidInput(fmt::format("{}: bytes behind the {} values of the header ({})", name, size,
                                   fmt::join(array.dims, " x ")));
  }
  return array;
}

IdxArray read_idx(const std::string& path) {
  const std::unique_ptr<gzFile_s, int (*)(gzFile)> file(gzopen(path.c_str(), "rb"), gzclose);
  if (!file) {
    throw IoError(fmt::format("{}: cannot open: {}", path, std::generic_category().message(errno)));
  }
  gzbuffer(file.get(), 1U << 17);
  return parse_idx(
      [&](uint8_t* to, std::size_t wanted) -> std::size_t {
        const auto step = static_cast<unsigned>(std::min<std::size_t>(wanted, 1U << 20));
        const int got = gzread(file.get(), to, step);
        int code = Z_OK;
        const char* text = gzerror(file.get(), &code);
        if (got < 0 || (code != Z_OK && code != Z_STREAM_END)) {
          if (code == Z_BUF_ERROR) {
            throw InvalidInput(fmt::format("{}: the gzip data is truncated", path));
          }
          if (code == Z_DATA_ERROR) {
            throw InvalidInput(fmt::format("{}: the gzip data is damaged: {}", path, text));
          }
          throw IoError(
              fmt::format("{}: cannot read: {}", path,
                          code == Z_ERRNO ? std::generic_category().message(errno) : text));
        }
        return got;
      },
      path);
}

}  // namespace renas::prep
