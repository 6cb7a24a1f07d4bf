#include "renas/communicator.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/checksum.h"
#include "renas/error.h"

namespace renas {

std::vector<double> gather(Communicator* communicator, double value) {
  if (communicator == nullptr) return {value};
  std::vector<double> values(static_cast<std::size_t>(communicator->ranks()), 0.0);
  values[static_cast<std::size_t>(communicator->rank())] = value;
  communicator->sum(values);
  return values;
}

bool any(Communicator* communicator, bool value) {
  if (communicator == nullptr) return value;
  double count = value ? 1 : 0;
  communicator->sum({&count, 1});
  return count > 0;
}

void expect_same(Communicator* communicator, const std::string& text, const std::string& what) {
  const std::vector<double> hashes = gather(communicator, crc32(text));
  std::vector<std::size_t> others;
  for (std::size_t rank = 1; rank < hashes.size(); ++rank) {
    if (hashes[rank] != hashes[0]) others.push_back(rank);
  }
  if (others.empty()) return;
  throw InvalidInput(
      fmt::format("ranks {} do not {} as rank 0: expected {}; start all ranks with "
                  "the same command, on a file system that they share",
                  fmt::join(others, ", "), what, text));
}

}  // namespace renas
