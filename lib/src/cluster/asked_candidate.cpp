#include "cluster/asked_candidate.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "renas/error.h"

namespace renas {
namespace {

std::string name_of(const std::optional<uint64_t>& parent) {
  return parent ? std::to_string(*parent) : "none";
}

}  // namespace

Candidate asked_candidate(Strategy& strategy, uint64_t id, uint64_t until, uint64_t& asked) {
  for (; asked < until; ++asked) strategy.ask();
  const std::vector<Candidate> out = strategy.in_flight();
  const auto candidate =
      std::find_if(out.begin(), out.end(), [id](const Candidate& c) { return c.id == id; });
  if (candidate == out.end()) {
    throw InvalidInput(fmt::format("candidate {} was not out when its result came", id));
  }
  return *candidate;
}

std::string difference_from(const SearchSpace& space, const Candidate& candidate,
                            const HistoryEntry& entry) {
  const std::string genome = to_string(space, candidate.genome);
  if (genome == entry.genome && candidate.parent == entry.parent &&
      candidate.mutations == entry.mutations) {
    return "";
  }
  return fmt::format("expected candidate {} to be {} of parent {}, found {} of parent {}", entry.id,
                     genome, name_of(candidate.parent), entry.genome, name_of(entry.parent));
}

std::optional<uint64_t> removed_by(uint64_t id, Status status, const Told& told) {
  return status == Status::kOk && !told.joined ? std::optional(id) : told.removed;
}

}  // namespace renas
