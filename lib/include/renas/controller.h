#pragma once

#include <string>
#include <utility>
#include <vector>

#include "renas/search_space.h"
#include "renas/state.h"

namespace renas {

/// The mutation controller: its size, how it learns, and whether a critic ranks what it proposes.
/// The values set here are the paper's form (section 5.1.3; what the paper leaves open is marked).
struct ControllerOptions {
  /// What stands for the worth of a child in REINFORCE.
  enum class Advantage {
    kReward,         ///< the reward itself: the literal reading of the paper
    kMovingAverage,  ///< minus the moving average of earlier rewards (open in the paper)
    kStandardised,   ///< minus the mean, over the standard deviation, of the last `window` rewards
  };

  int embedding = 100;
  int hidden = 100;           ///< of each direction of the LSTM
  bool bidirectional = true;  ///< false: the paper's "non-bi" counterpart
  bool learn = true;          ///< false: never updated, a control
  double initial_sd = 0.01;
  double learning_rate = 0.001;  ///< Adam
  double entropy = 0.1;          ///< weight of the entropy of the decisions, in nats, as a bonus
  Advantage advantage = Advantage::kMovingAverage;
  double decay = 0.9;  ///< of the moving average
  int window = 100;    ///< rewards that kStandardised looks back on
  double clip = 2;     ///< standardised advantages lie in [-clip, clip]

  /// After every result, `updates` Adam steps on `batch` samples each: the newest, and batch - 1
  /// drawn from the last `replay` before it, weighted by present over past probability of their
  /// actions, at most `ratio_clip`.
  int updates = 1;
  int batch = 1;
  int replay = 0;
  double ratio_clip = 2;

  /// Draws this many mutations and proposes the one that a learnt predictor of fitness, the critic,
  /// holds most of; 0: no critic.
  int critic = 0;
  double critic_share = 0.5;   ///< of the children that the critic picks; the others are one draw
  double critic_optimism = 2;  ///< standard deviations of its prediction that count as worth
  /// The share of draws that come not from the policy but from chance: one block changed for
  /// certain, each other with probability 0.3, one slot of it, to a different choice.
  double exploration = 0;
  /// How often a candidate that was asked before is drawn again once fitness has proved exact (two
  /// repeats came back equal, none different), from the tenth draw on by chance. 0: never.
  int redraw_exact = 0;

  bool operator==(const ControllerOptions&) const = default;
};

/// "paper", "default". Throws InvalidInput for other names.
ControllerOptions controller_options(const std::string& name);
std::vector<std::string> controller_names();

/// Sets one field by its name, for example ("hidden", "64") or ("baseline", "none").
/// Throws InvalidInput where the name is unknown or the value out of range.
void set_controller_option(ControllerOptions& options, const std::string& name,
                           const std::string& value);
/// All fields as (name, value), each as set_controller_option takes it.
std::vector<std::pair<std::string, std::string>> describe(const ControllerOptions& options);

struct StrategyOptions;

/// What a controller has learnt, seen on the present population.
struct ControllerView {
  /// [block][slot of the block]: probability that the router changes it; mean over members.
  std::vector<std::vector<double>> router;
  /// [slot of the genome][choice]: probability of the choice, were the slot routed to; mean over
  /// members.
  std::vector<std::vector<double>> choices;
  /// Entropy of the decisions that made each child learnt from, summed over them, in nats, in
  /// order.
  std::vector<double> entropy;
  /// That of decisions that are all uniform, for comparison (mean over what the router may choose).
  double largest_entropy = 0;
};

/// Looks into the saved state of a strategy that was made with `options`. Throws InvalidInput where
/// the strategy has no mutation controller or the state is not of this space and these options.
ControllerView view_controller(const SearchSpace& space, const StrategyOptions& options,
                               const State& state);

}  // namespace renas
