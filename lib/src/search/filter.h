#pragma once

#include <functional>
#include <unordered_set>

#include "renas/strategy.h"
#include "search/state_io.h"

namespace renas::search {

/// Which candidates may be proposed: refuses those beyond the user's limits, and, so many times a
/// candidate, those that were asked before. Counts what it refuses.
class Filter {
 public:
  Filter(const SearchSpace& space, const StrategyOptions& options)
      : space_(space), admits_(options.admits), redraws_(options.redraw_repeats) {}

  /// Calls `draw` until its genome may be proposed; `genome(draw())` must be a Genome.
  /// Throws InvalidInput after 10,000 draws beyond the limits.
  template <class Draw, class GenomeOf>
  auto draw(Draw&& draw, GenomeOf&& genome_of) {
    int repeats = 0;
    for (int refused = 0; refused < kMaxDraws;) {
      auto drawn = draw();
      const Genome& genome = genome_of(drawn);
      if (admits_ && !admits_(genome)) {
        ++refused;
        ++redrawn_limits;
      } else if (repeats < redraws_ && is_repeat(genome)) {
        ++repeats;
        ++redrawn_repeats;
      } else {
        return drawn;
      }
    }
    give_up();
  }
  Genome draw(const std::function<Genome()>& make) {
    return draw(make, [](const Genome& genome) -> const Genome& { return genome; });
  }

  bool is_repeat(const Genome& genome) const { return seen_.contains(hash(genome)); }
  void remember(const Genome& genome) {
    if (!seen_.insert(hash(genome)).second) ++repeats_asked;
  }

  uint64_t repeats_asked = 0;
  uint64_t redrawn_limits = 0;
  uint64_t redrawn_repeats = 0;

  void save(StateWriter& writer) const;
  void load(const StateReader& reader);

 private:
  static constexpr int kMaxDraws = 10000;
  /// Of the canonical form; 64 bits, so that a million genomes meet with a chance of 3e-8.
  uint64_t hash(const Genome& genome) const;
  [[noreturn]] void give_up() const;

  SearchSpace space_;
  std::function<bool(const Genome&)> admits_;
  int redraws_;
  std::unordered_set<uint64_t> seen_;
};

}  // namespace renas::search
