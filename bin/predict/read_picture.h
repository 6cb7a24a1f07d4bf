#pragma once

#include <array>
#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <vector>

#include "renas/error.h"

namespace renas::cli {

/// Reads all bytes of a picture's file. Throws InvalidInput where it is a folder, IoError with the
/// system's reason; callers add the name.
inline std::vector<uint8_t> read_picture(const std::string& path) {
  std::error_code ignored;  // opening the file says it
  if (std::filesystem::is_directory(path, ignored)) {
    throw InvalidInput("is a folder; expected a JPEG or PNG file");
  }
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::vector<uint8_t> bytes;
  std::array<char, 65536> part{};
  while (file) {
    file.read(part.data(), part.size());
    bytes.insert(bytes.end(), part.data(), part.data() + file.gcount());
  }
  if (!file.is_open() || file.bad()) {
    throw IoError(errno == 0 ? "cannot be read" : std::generic_category().message(errno));
  }
  return bytes;
}

}  // namespace renas::cli
