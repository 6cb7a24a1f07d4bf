#pragma once

#include <cstdint>
#include <functional>
#include <unordered_map>

#include "renas/error.h"
#include "renas/strategy.h"
#include "search/state_io.h"

namespace renas::search {

/// The limits refused so many draws in a row that there may be none to find.
class Refused : public InvalidInput {
 public:
  using InvalidInput::InvalidInput;
};

/// Decides which genomes a strategy may propose as candidates. The filter rejects genomes beyond
/// the user's limits, and up to a number of times for each candidate those that were asked before.
/// It counts both rejections.
class CandidateFilter {
 public:
  CandidateFilter(const SearchSpace& space, const StrategyOptions& options)
      : space_(space), admits_(options.admits), redraws_(options.redraw_repeats) {}

  /// Calls `draw` until the filter accepts the genome it drew, and returns what `draw` returned.
  ///
  /// genome_of      gives the genome of what `draw` returns
  /// redraw_exact   as in ControllerOptions
  /// on_refused     called with what `draw` returned where the genome is beyond the limits
  /// Throws Refused after 10,000 draws beyond the limits.
  template <class Draw, class GenomeOf, class OnRefused>
  auto draw(Draw&& draw, GenomeOf&& genome_of, int redraw_exact, OnRefused&& on_refused) {
    const int redraws = exact() && redraw_exact > redraws_ ? redraw_exact : redraws_;
    int repeats = 0;
    for (int refused = 0; refused < kMaxDraws;) {
      auto drawn = draw();
      const Genome& genome = genome_of(drawn);
      if (admits_ && !admits_(genome)) {
        ++refused;
        ++redrawn_limits;
        on_refused(drawn);
      } else if (repeats < redraws && asked_.contains(hash(genome))) {
        ++repeats;
        ++redrawn_repeats;
      } else {
        return drawn;
      }
    }
    give_up();
  }
  template <class Draw, class GenomeOf>
  auto draw(Draw&& draw_one, GenomeOf&& genome_of) {
    return draw(draw_one, genome_of, 0, [](const auto&) {});
  }
  /// The same where `make` returns the genome itself.
  Genome draw(const std::function<Genome()>& make) {
    return draw(make, [](const Genome& genome) -> const Genome& { return genome; });
  }

  /// Records that `genome` was asked.
  void asked(const Genome& genome);
  /// Records the fitness that `genome` was told with; it must have been asked.
  void told(const Genome& genome, double fitness);

  uint64_t repeats_asked = 0;
  uint64_t redrawn_limits = 0;
  uint64_t redrawn_repeats = 0;

  void save(StateWriter& writer) const;
  void load(const StateReader& reader);

 private:
  static constexpr int kMaxDraws = 10000;
  /// A 64-bit hash of the genome's canonical form. Two of a million genomes collide with a
  /// probability of 3e-8.
  uint64_t hash(const Genome& genome) const;
  /// Whether fitness has proved to be deterministic: repeats got the fitness of the first time.
  bool exact() const { return equal_ >= 2 && different_ == 0; }
  [[noreturn]] void give_up() const;

  SearchSpace space_;
  std::function<bool(const Genome&)> admits_;
  int redraws_;
  std::unordered_map<uint64_t, double> asked_;  // hash -> first fitness, -1 until it is told
  uint64_t equal_ = 0;                          // repeats that got the first fitness
  uint64_t different_ = 0;                      // repeats that got another fitness
};

}  // namespace renas::search
