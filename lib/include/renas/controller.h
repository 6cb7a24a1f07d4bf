#pragma once

#include <string>
#include <utility>
#include <vector>

#include "renas/search_space.h"
#include "renas/state.h"

namespace renas {

/// The form of the mutation controller: the size of its LSTM, how it learns, and whether a critic
/// ranks its proposals.
///
/// The default values are the paper's (section 5.1.3); where the paper leaves a value open, the
/// field says so.
struct ControllerOptions {
  /// The advantage: the weight that REINFORCE gives to the actions that made a child.
  enum class Advantage {
    kReward,         ///< the reward itself, which is the literal reading of the paper
    kMovingAverage,  ///< the reward minus the moving average of earlier rewards (open in the paper)
    kStandardised,   ///< (reward - mean) / standard deviation, over the last `window` rewards
  };

  int embedding = 100;  ///< size of a token's embedding
  int hidden = 100;     ///< hidden units of each direction of the LSTM
  /// How the input mutator scores a source, with hidden state h, for the slot to change, with g.
  /// 0: by one linear unit, w . [h ; g] + b, which is our reading of the paper's "concat". It
  /// orders the sources of one parent alike for every slot. n: by additive attention of n units, v
  /// . tanh(W h + U g + b) (Bahdanau et al., ICLR 2015), by which each slot may want another.
  int attention = 0;
  bool bidirectional = true;     ///< false: the paper's "non-bi" counterpart
  bool learn = true;             ///< false: the controller is never updated (a control experiment)
  double initial_sd = 0.01;      ///< standard deviation of the initial parameters
  double learning_rate = 0.001;  ///< of Adam
  double entropy = 0.1;          ///< weight of the entropy bonus of the decisions, in nats
  Advantage advantage = Advantage::kMovingAverage;
  double decay = 0.9;  ///< of kMovingAverage
  int window = 100;    ///< number of rewards that kStandardised looks back on
  double clip = 2;     ///< kStandardised clips advantages to [-clip, clip]

  /// Experience replay: after every result the controller takes `updates` Adam steps. The batch of
  /// each step holds the newest result and batch - 1 drawn from the `replay` results before it. A
  /// replayed result is weighted by the importance ratio of its actions, present over past
  /// probability, clipped at `ratio_clip`.
  int updates = 1;
  int batch = 1;
  int replay = 0;
  double ratio_clip = 2;

  /// Number of mutations the controller draws for a child that the critic, a learnt predictor of
  /// fitness, picks the best of. 0: no critic.
  int critic = 0;
  double critic_share = 0.5;   ///< share of children the critic picks; the others are a single draw
  double critic_optimism = 2;  ///< standard deviations the critic adds to its predicted mean
  /// Of the candidates in flight so many, those most like the mutations that it ranks, count for
  /// the critic as if they had been told with what it predicts: its mean stays, and its uncertainty
  /// about their like is gone. 0: it knows of none.
  int critic_in_flight = 0;
  /// Share of draws that come from uniform exploration in place of the policy. Exploration changes
  /// one block for certain and each other block with probability 0.3; in a changed block one slot,
  /// drawn uniformly, takes a different choice.
  double exploration = 0;
  /// Resampling of duplicates where fitness is deterministic: once two repeated evaluations have
  /// reproduced their first fitness and none has differed, a proposal that was evaluated before is
  /// drawn again up to this many times; after ten draws from the policy, by uniform exploration.
  /// 0: never.
  int redraw_exact = 0;
  /// Whether a child that failed by itself (diverged, out of memory; not lost) teaches: the policy,
  /// that its actions brought fitness 0, which the baseline leaves out; the critic, unless it also
  /// judges members, that it is as bad as the worst result the critic remembers.
  bool learn_failures = false;
  /// How many of the draws that StrategyOptions::admits refused since the last result, the newest,
  /// join the batch of each step, as if they had brought fitness 0, which the baseline leaves out.
  /// So the policy learns what it need not ask for. 0: none.
  int learn_refusals = 0;

  bool operator==(const ControllerOptions&) const = default;
};

/// The form of the given name, "paper" or "default". Throws InvalidInput for any other name.
ControllerOptions controller_options(const std::string& name);
/// The names that controller_options() knows.
std::vector<std::string> controller_names();

/// Sets one field by its name, for example ("hidden", "64") or ("baseline", "none").
/// Throws InvalidInput if the name is unknown or the value out of range.
void set_controller_option(ControllerOptions& options, const std::string& name,
                           const std::string& value);
/// All fields as (name, value) pairs, each as set_controller_option() takes it.
std::vector<std::pair<std::string, std::string>> describe(const ControllerOptions& options);

struct StrategyOptions;

/// What a controller has learnt, as probabilities of its decisions on the present population.
struct ControllerView {
  /// [block][slot of the block]: probability that the router picks the slot; mean over members.
  std::vector<std::vector<double>> router;
  /// [slot of the genome][choice]: probability of the choice, given that the router picks the slot;
  /// mean over members.
  std::vector<std::vector<double>> choices;
  /// Entropy of the policy when it made each child it learnt from, summed over the child's
  /// decisions, in nats, in the order of learning.
  std::vector<double> entropy;
  /// The entropy of a uniform policy, for comparison (the mean over the router's picks).
  double largest_entropy = 0;
};

/// Reads a controller out of the saved state of a strategy that was made with `options`. Throws
/// InvalidInput if the strategy has no mutation controller, or if the state belongs to another
/// space or to other options.
ControllerView view_controller(const SearchSpace& space, const StrategyOptions& options,
                               const State& state);

}  // namespace renas
