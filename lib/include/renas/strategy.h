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
#include "renas/status.h"

// A strategy searches by ask and tell. Three words run through all of the library:
//
//   candidate   a genome that the strategy asks the fitness of
//   child       a candidate that was made by mutating a member, its parent
//   member      a candidate that was trained and now belongs to the population

namespace renas {

/// A genome that a strategy asks the fitness of.
struct Candidate {
  uint64_t id = 0;  ///< 0, 1, 2, ... in the order of asking
  Genome genome;
  /// The member that it was mutated from, whose weights it may inherit; none: from scratch.
  std::optional<uint64_t> parent;
  std::vector<Mutation> mutations;  ///< what turned the parent's genome into this one
  /// The candidate's own stream of random numbers, a function of (run_seed, id) alone.
  Random stream(uint64_t run_seed) const { return Random(run_seed, Purpose::kChild, id); }
  bool operator==(const Candidate&) const = default;
};

/// The result of evaluating a candidate.
struct Outcome {
  Status status = Status::kOk;
  double fitness = 0;  ///< validation accuracy in [0, 1]; ignored unless the status is kOk
  /// The share of the network's trainable numbers that the parent gave, in [0, 1]. A candidate that
  /// has a parent and inherited nothing counts as trained from scratch.
  double inherited = 0;
};

/// A trained member of the population.
struct Member {
  uint64_t id = 0;  ///< the id of the candidate it was
  Genome genome;
  double fitness = 0;
  /// What it is judged by: its fitness, or what its cell is estimated to be worth apart from how
  /// its weights came about (StrategyOptions::judge), on the same scale.
  double effect = 0;
  double size = 0;  ///< StrategyOptions::size of the genome; 0 where there is none
  bool operator==(const Member&) const = default;
};

/// What a tell changed in the population.
struct Told {
  bool joined = false;              ///< the candidate is a member now
  std::optional<uint64_t> removed;  ///< the member that left to make room
};

/// How many candidates were asked, told and drawn again so far.
struct SearchCounts {
  uint64_t asked = 0;
  uint64_t succeeded = 0;       ///< told with kOk
  uint64_t failed = 0;          ///< told with any other status
  uint64_t repeats = 0;         ///< asked although an equal network (canonical form) had been asked
  uint64_t redrawn_limits = 0;  ///< draws rejected because `admits` refused the genome
  uint64_t redrawn_repeats = 0;  ///< draws rejected because an equal network had been asked
  bool operator==(const SearchCounts&) const = default;
};

/// A search strategy: it proposes candidates and learns from their fitness. A strategy of your own
/// derives from this class; SearchRunOptions::make_strategy hands it to a search over ranks.
///
/// Any number of candidates may be in flight (asked and not yet told) at once, and they may be told
/// in any order. One whose result will never come is told as Status::kLost: one that is never told
/// stays in flight, which waits() and in_flight() then go by. A strategy is not thread-safe, but
/// two strategies share nothing.
class Strategy {
 public:
  virtual ~Strategy() = default;

  virtual const SearchSpace& space() const = 0;
  /// Returns the next candidate. Throws InvalidInput only if `StrategyOptions::admits` refuses
  /// 10,000 draws in a row while there is no member; else a member's genome is asked once more.
  virtual Candidate ask() = 0;
  /// Whether whoever evaluates had better wait for a result of a candidate in flight before the
  /// next ask(). A population that has hardly begun says so: what ask() would return is one more
  /// candidate without a parent, though as many as there are members are under way. ask() may be
  /// called all the same. Never true while nothing is in flight.
  virtual bool waits() const { return false; }
  /// Reports how the evaluation of candidate `id` ended. Throws InvalidInput, and changes nothing,
  /// if the id is unknown or was told before, or if the fitness is not in [0, 1]. What
  /// StrategyOptions::size throws passes through, and nothing has changed then.
  virtual Told tell(uint64_t id, const Outcome& outcome) = 0;
  /// Takes `asked`, of a candidate in flight, for what ask() returned under its id, and where it is
  /// told with success lets the member `removed` leave. So a history holds that was made by the
  /// same strategy on a processor whose arithmetic rounds in another way. Throws InvalidInput, and
  /// changes nothing, if the id is not in flight, or the strategy cannot do this, as by default.
  virtual void adopt(const Candidate& asked, std::optional<uint64_t> removed);

  /// The members, oldest first. A strategy without a population keeps the best P candidates here.
  virtual const std::vector<Member>& population() const = 0;
  /// The candidates that deserve a training from scratch at the end of a search, at most P. The
  /// members, unless the strategy knows better ones that have left.
  virtual std::vector<Member> finalists() const { return population(); }
  /// The candidates in flight, in the order of their ids.
  virtual std::vector<Candidate> in_flight() const = 0;
  /// Whether a later candidate may still inherit the weights of `id`: it is a member, or the parent
  /// of a candidate in flight.
  virtual bool keeps(uint64_t id) const = 0;
  /// The candidate with the highest fitness ever told, the earliest among equals; where candidates
  /// are judged by effect, that with the highest effect; or by posterior mean
  /// (StrategyOptions::finalists). Empty before the first success. It may have left the population.
  virtual std::optional<Member> best() const = 0;

  virtual SearchCounts counts() const = 0;
  /// What its mutation controller has learnt; empty: it has none.
  virtual std::optional<ControllerView> controller_view() const { return std::nullopt; }

  /// Returns all of the strategy's state: population, candidates in flight, controller, optimiser,
  /// random streams. A strategy made with equal options that loads this state continues exactly as
  /// the saved one would have.
  virtual State save() const = 0;
  /// Restores what save() returned. Throws InvalidInput, and changes nothing, if `state` belongs to
  /// another strategy or search space.
  virtual void load(const State& state) = 0;
};

/// What a strategy is made from.
struct StrategyOptions {
  std::string name = "renas";  ///< one of strategy_names()
  int population = 20;         ///< population size P, at least 2
  int sample = 10;             ///< tournament size S, at most P
  uint64_t seed = 0;

  /// The controller's form, one of controller_names(). "paper" is the paper's as we read it; what
  /// "default" changes stands in README.
  std::string controller = "default";
  std::string baseline;  ///< "none", "moving" or "standardised"; empty: the controller's own
  int critic = -1;       ///< ControllerOptions::critic; -1: the controller's own
  std::optional<ControllerOptions> controller_form;  ///< replaces the three fields above
  /// What strategies with a population judge members and children by. "fitness": the fitness they
  /// were told with, as in the paper. "effect": an estimate of what the cell is worth, learnt from
  /// all results, in which a child is not blamed for what its mutation broke, nor a lucky result
  /// praised. It differs from the fitness once results say that they inherited weights
  /// (Outcome::inherited). Empty: "fitness".
  std::string judge = "effect";

  /// Which candidates finalists() and best() are. "population": the members, and the candidate with
  /// the highest fitness, as in the paper. "posterior-mean": of all candidates the P different
  /// networks, or the one, whose fitness a Gaussian process over all results expects to be highest,
  /// so that one lucky result does not count; the search itself decides as without. Strategies
  /// without a population do not know it; where effects differ from fitness, and with a size as
  /// objective, finalists are what they are without. Empty: "population".
  std::string finalists;

  /// Decides which genomes may be asked: limits on parameters, mult-adds, ... A genome for which it
  /// returns false is drawn again. Empty: every genome may be asked.
  std::function<bool(const Genome&)> admits;
  /// The size of a genome's network, for instance its parameters. Where it is set, a search has two
  /// objectives: the members that are best and worst in a tournament are so by the fronts of
  /// non-domination in effect and size, and by crowding within a front, as in NSGA-II (Deb et al.,
  /// IEEE Transactions on Evolutionary Computation 6(2), 2002). Fitness remains what the controller
  /// learns from and what `best` is. Only for strategies with a population. Empty: size is nothing
  /// to the search, as in the paper.
  std::function<double(const Genome&)> size;
  /// Known cells to start from: the first candidates, in this order; at most P. What they leave of
  /// the first P members is drawn as ever. Strategies without a population also begin with them.
  std::vector<Genome> initial_genomes;
  /// How often a draw that repeats an earlier candidate is rejected before it is accepted. 0: a
  /// repeat is trained like any other candidate.
  int redraw_repeats = 0;
  /// The mutation rate of `evolution` where it serves as a control: child number n (from 0; the
  /// last entry holds for all later ones) changes this many slots on average, each to a different
  /// choice. Empty: one slot of every block is drawn again.
  std::vector<double> changes_per_child;
};

/// The names of all strategies: renas, renas-frozen, renas-unidirectional, evolution, regularized,
/// reinforce, random.
std::vector<std::string> strategy_names();
/// Makes the strategy that `options` name. Throws InvalidInput if a name is unknown, a number out
/// of range, an initial genome is none of the space or refused by `admits`, or a size is given to
/// a strategy without tournaments.
std::unique_ptr<Strategy> make_strategy(const SearchSpace& space, const StrategyOptions& options);
/// Whether strategy `name` keeps a population in which tournaments are held.
bool has_tournaments(const std::string& name);
/// Whether `options` judge by effect, which strategies with a population can. Throws InvalidInput
/// if the word is unknown.
bool judges_by_effect(const StrategyOptions& options);
/// Whether `options` choose finalists by posterior mean, which strategies with a population can.
/// Throws InvalidInput if the word is unknown.
bool finalists_by_mean(const StrategyOptions& options);
/// The controller's form that results from `options`, the strategy's name included. Throws as
/// make_strategy().
ControllerOptions controller_options(const StrategyOptions& options);

}  // namespace renas
