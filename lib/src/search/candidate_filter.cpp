#include "search/candidate_filter.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "renas/error.h"

namespace renas::search {

uint64_t CandidateFilter::hash(const Genome& genome) const {
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

void CandidateFilter::give_up() const {
  throw Refused(
      fmt::format("search space '{}': the limits refused {} candidates in a row; raise them",
                  space_.name(), kMaxDraws));
}

void CandidateFilter::asked(const Genome& genome) {
  if (!asked_.try_emplace(hash(genome), -1.0).second) {
    ++repeats_asked;
  }
}

void CandidateFilter::told(const Genome& genome, double fitness) {
  double& first = asked_.at(hash(genome));
  if (first < 0) {
    first = fitness;
  } else {
    ++(first == fitness ? equal_ : different_);
  }
}

void CandidateFilter::save(StateWriter& writer) const {
  std::vector<std::pair<uint64_t, double>> sorted(asked_.begin(), asked_.end());
  std::sort(sorted.begin(), sorted.end());
  std::vector<uint64_t> hashes;
  std::vector<double> fitness;
  for (const auto& [hash, first] : sorted) {
    hashes.push_back(hash);
    fitness.push_back(first);
  }
  writer.put("asked/hash", std::move(hashes));
  writer.put("asked/fitness", std::move(fitness));
  writer.put("asked/counts", std::vector<uint64_t>{repeats_asked, redrawn_limits, redrawn_repeats,
                                                   equal_, different_});
}

void CandidateFilter::load(const StateReader& reader) {
  const auto& counts = reader.words("asked/counts", 5);
  const auto& hashes = reader.words("asked/hash");
  const auto& fitness = reader.doubles("asked/fitness", hashes.size());
  asked_.clear();
  for (std::size_t i = 0; i < hashes.size(); ++i) {
    asked_[hashes[i]] = fitness[i];
  }
  repeats_asked = counts[0];
  redrawn_limits = counts[1];
  redrawn_repeats = counts[2];
  equal_ = counts[3];
  different_ = counts[4];
}

}  // namespace renas::search
