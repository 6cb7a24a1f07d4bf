#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace renas::prep {

/// Reads all bytes of a file. Throws IoError with the system's reason; InvalidInput where it is not
/// a regular file or longer than `limit`.
std::vector<uint8_t> read_file(const std::string& path, int64_t limit = int64_t{1} << 31);

/// Reads the lines of a file without trailing white space. Throws as read_file() does.
std::vector<std::string> read_lines(const std::string& path);

}  // namespace renas::prep
