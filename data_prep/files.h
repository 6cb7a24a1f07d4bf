#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace renas::prep {

/// All bytes of a file. Throws IoError with the system's reason; InvalidInput where it is not a
/// regular file or longer than `limit`.
std::vector<uint8_t> read_file(const std::string& path, int64_t limit = int64_t{1} << 31);

/// Lines without their ends and without trailing white space; empty ones left out.
std::vector<std::string> read_lines(const std::string& path);

}  // namespace renas::prep
