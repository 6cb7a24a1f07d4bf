#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "renas/controller.h"
#include "renas/genome.h"
#include "renas/random.h"
#include "renas/search_space.h"
#include "renas/state.h"

namespace renas {

/// A genome that a strategy wants to know the fitness of.
struct Candidate {
  uint64_t id = 0;  ///< 0, 1, 2, ... in the order of asking
  Genome genome;
  std::optional<uint64_t> parent;   ///< inherit this member's weights; none: train from scratch
  std::vector<Mutation> mutations;  ///< what turned the parent into it
  /// Its own stream of random numbers, a function of (run seed, id) alone.
  Random stream(uint64_t run_seed) const { return Random(run_seed, Purpose::kChild, id); }
  bool operator==(const Candidate&) const = default;
};

/// How the evaluation of a candidate ended. All but kOk leave the population as it was.
enum class Status { kOk, kDiverged, kOutOfMemory, kLost };
const char* to_string(Status status);

struct Outcome {
  Status status = Status::kOk;
  double fitness = 0;  ///< validation accuracy in [0, 1]; ignored unless kOk
};

/// One that was trained and lives.
struct Member {
  uint64_t id = 0;
  Genome genome;
  double fitness = 0;
  bool operator==(const Member&) const = default;
};

/// What a tell changed.
struct Told {
  bool joined = false;              ///< the candidate is now in the population
  std::optional<uint64_t> removed;  ///< who left for it
};

/// What happened so far.
struct SearchCounts {
  uint64_t asked = 0;
  uint64_t succeeded = 0;
  uint64_t failed = 0;          ///< told with a status other than kOk
  uint64_t repeats = 0;         ///< asked though an equal network (canonical form) was asked before
  uint64_t redrawn_limits = 0;  ///< drawn, and drawn again because `admits` refused
  uint64_t redrawn_repeats = 0;  ///< drawn, and drawn again because asked before
  bool operator==(const SearchCounts&) const = default;
};

/// A way to search. Any number of candidates may be out at once; they may come back in any order,
/// or never. Not thread-safe; two strategies share nothing.
class Strategy {
 public:
  virtual ~Strategy() = default;

  virtual const SearchSpace& space() const = 0;
  /// The next candidate. Throws InvalidInput only where `StrategyOptions::admits` refuses 10,000
  /// draws on end.
  virtual Candidate ask() = 0;
  /// What became of candidate `id`. Throws InvalidInput, and changes nothing, where the id is
  /// unknown or was told before, or the fitness is not in [0, 1].
  virtual Told tell(uint64_t id, const Outcome& outcome) = 0;

  /// The living members, oldest first. Strategies without a population keep their best P.
  virtual const std::vector<Member>& population() const = 0;
  /// Candidates asked and not yet told, by id.
  virtual std::vector<Candidate> in_flight() const = 0;
  /// Whether the weights of `id` may still be asked for: it lives, or is the parent of one in
  /// flight.
  virtual bool keeps(uint64_t id) const = 0;
  /// The best ever told by fitness (the earliest among equals); none before the first success.
  virtual std::optional<Member> best() const = 0;

  virtual SearchCounts counts() const = 0;

  /// Everything: population, candidates in flight, controller, optimiser, random streams. A
  /// strategy made with equal options that loads it goes on exactly as if it had never stopped.
  virtual State save() const = 0;
  /// Throws InvalidInput where `state` is not of this strategy and space.
  virtual void load(const State& state) = 0;
};

struct StrategyOptions {
  std::string name = "renas";  ///< one of strategy_names()
  int population = 20;         ///< P
  int sample = 10;             ///< S, at most P
  uint64_t seed = 0;

  /// One of controller_names(): "paper" is the paper's form, exact; "default": see README.
  std::string controller = "default";
  std::string baseline;  ///< "none", "moving", "standardised"; empty: the controller's own
  int critic = -1;       ///< ControllerOptions::critic; -1: the controller's own
  std::optional<ControllerOptions> controller_form;  ///< in place of all three

  /// Candidates for which it is false are drawn again: limits on parameters, mult-adds, ... Empty:
  /// all are admitted.
  std::function<bool(const Genome&)> admits;
  /// How often a candidate that was asked before is drawn again. 0: it is trained all the same.
  int redraw_repeats = 0;
  /// For `evolution` as a control: child number n (from 0; the last entry goes on) changes, on
  /// average, this many slots, each to a different choice. Empty: one slot of every block redrawn.
  std::vector<double> changes_per_child;
};

/// renas, renas-frozen, renas-unidirectional, evolution, regularized, reinforce, random.
std::vector<std::string> strategy_names();
/// Throws InvalidInput where a name is unknown or a number out of range.
std::unique_ptr<Strategy> make_strategy(const SearchSpace& space, const StrategyOptions& options);
/// The controller that `options` ask for, name of the strategy included.
ControllerOptions controller_options(const StrategyOptions& options);

}  // namespace renas
