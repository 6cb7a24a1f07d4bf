#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace renas::prep {

/// A function that reads up to so many bytes into a buffer and returns how many, 0 at the end.
using ByteReader = std::function<std::size_t(uint8_t*, std::size_t)>;

/// An array of unsigned bytes in the IDX format of MNIST: two zero bytes, the type (8: unsigned
/// byte), the number of dimensions, each dimension as a big-endian 32-bit number, the values.
struct IdxArray {
  std::vector<int64_t> dims;
  std::vector<uint8_t> values;
};

/// Parses an IDX array. Memory grows with the bytes that are read, not with what the header claims.
/// Throws InvalidInput, beginning with `name`, where the magic number is another, there are too
/// many dimensions, the body is short, or bytes follow it.
IdxArray parse_idx(const ByteReader& read, const std::string& name);

/// Reads an IDX file, plain or compressed with gzip. Throws IoError where it cannot be read,
/// InvalidInput as parse_idx() does.
IdxArray read_idx(const std::string& path);

}  // namespace renas::prep
