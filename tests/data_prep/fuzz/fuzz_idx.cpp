// Any bytes as an IDX file: an array of the announced size or InvalidInput.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "idx.h"
#include "renas/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  std::size_t at = 0;
  const auto read = [&](uint8_t* to, std::size_t wanted) {
    const std::size_t n = std::min(wanted, size - at);
    std::copy_n(data + at, n, to);
    at += n;
    return n;
  };
  try {
    const auto array = renas::prep::parse_idx(read, "input");
    int64_t count = 1;
    for (const int64_t dim : array.dims) count *= dim;
    if (static_cast<int64_t>(array.values.size()) != count || at != size) std::abort();
  } catch (const renas::InvalidInput&) {
  }
  return 0;
}
