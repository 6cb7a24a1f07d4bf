#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "renas/dataset.h"
#include "support/process.h"

namespace renas::test {

/// Runs a program of the build; `command` begins with its name.
inline Ran run(const std::string& command, const std::string& environment = "") {
  return run_command(environment + RENAS_PROGRAMS "/" + command);
}

inline bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// The bytes of image i of a data set.
inline std::vector<uint8_t> stored(const DataSet& data, int64_t i) {
  std::vector<uint8_t> buffer;
  const auto bytes = data.image(i, buffer);
  return {bytes.begin(), bytes.end()};
}

/// Bytes start, start + 1, ...
inline std::vector<uint8_t> counting(std::size_t size, int start = 0) {
  std::vector<uint8_t> values(size);
  std::iota(values.begin(), values.end(), static_cast<uint8_t>(start));
  return values;
}

/// An IDX file.
inline std::vector<uint8_t> idx_of(const std::vector<int>& dims,
                                   const std::vector<uint8_t>& values) {
  std::vector<uint8_t> bytes{0, 0, 8, static_cast<uint8_t>(dims.size())};
  for (const int dim : dims) {
    for (const int shift : {24, 16, 8, 0}) bytes.push_back(static_cast<uint8_t>(dim >> shift));
  }
  bytes.insert(bytes.end(), values.begin(), values.end());
  return bytes;
}

}  // namespace renas::test
