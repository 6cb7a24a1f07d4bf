#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace renas::prep {

/// Reads up to so many bytes; returns how many, 0 at the end.
using ByteReader = std::function<std::size_t(uint8_t*, std::size_t)>;

/// An array of unsigned bytes in the IDX format of MNIST: two zero bytes, the type (8: unsigned
/// byte), the number of dimensions, each dimension as a big-endian 32-bit number, the values.
struct IdxArray {
  std::vector<int64_t> dims;
  std::vector<uint8_t> values;
};

/// `name` begins messages. Throws InvalidInput: another magic, too many dimensions, a short body,
/// bytes behind the body. Memory grows with the bytes that come, not with what the header says.
IdxArray parse_idx(const ByteReader& read, const std::string& name);

/// A file, plain or compressed with gzip. Throws IoError where it cannot be read.
IdxArray read_idx(const std::string& path);

}  // namespace renas::prep
