#include "search/filter.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "renas/error.h"

namespace renas::search {

uint64_t Filter::hash(const Genome& genome) const {
  uint64_t h = 0;
  for (const int token : canonical(space_, genome)) {
    // The finaliser of splitmix64 (Steele, Lea, Flood 2014).
    h += 0x9E3779B97F4A7C15 + static_cast<uint64_t>(token);
    h = (h ^ (h >> 30)) * 0xBF58476D1CE4E5B9;
    h = (h ^ (h >> 27)) * 0x94D049BB133111EB;
    h ^= h >> 31;
  }
  return h;
}

void Filter::give_up() const {
  throw InvalidInput(
      fmt::format("search space '{}': the limits refused {} candidates on end; raise them",
                  space_.name(), kMaxDraws));
}

void Filter::save(StateWriter& writer) const {
  std::vector<uint64_t> seen(seen_.begin(), seen_.end());
  std::sort(seen.begin(), seen.end());
  writer.put("seen", std::move(seen));
  writer.put("counts/drawn", std::vector<uint64_t>{repeats_asked, redrawn_limits, redrawn_repeats});
}

void Filter::load(const StateReader& reader) {
  const auto& counts = reader.words("counts/drawn", 3);
  const auto& seen = reader.words("seen");
  seen_ = {seen.begin(), seen.end()};
  repeats_asked = counts[0];
  redrawn_limits = counts[1];
  redrawn_repeats = counts[2];
}

}  // namespace renas::search
