#include "cluster/asked_candidate.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "renas/error.h"

namespace renas {
namespace {

std::string name_of(const std::optional<uint64_t>& parent) {
  return parent ? std::to_string(*parent) : "none";
}

}  // namespace

Candidate asked_candidate(Strategy& strategy, const HistoryEntry& entry, uint64_t& asked) {
  for (; asked < entry.asked; ++asked) strategy.ask();
  const std::vector<Candidate> out = strategy.in_flight();
  const auto candidate =
      std::find_if(out.begin(), out.end(), [&](const Candidate& c) { return c.id == entry.id; });
  if (candidate == out.end()) {
    throw InvalidInput(fmt::format("candidate {} was not out when its result came", entry.id));
  }
  const std::string genome = to_string(strategy.space(), candidate->genome);
  if (genome != entry.genome || candidate->parent != entry.parent ||
      candidate->mutations != entry.mutations) {
    throw InvalidInput(
        fmt::format("expected candidate {} to be {} of parent {}, found {} of parent {}", entry.id,
                    genome, name_of(candidate->parent), entry.genome, name_of(entry.parent)));
  }
  return *candidate;
}

}  // namespace renas
