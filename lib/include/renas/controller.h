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

  /// Samples this many mutations and proposes the one a learnt predictor of ranks likes best; 0:
  /// none.
  int critic = 0;
  int critic_embedding = 32;
  int critic_hidden = 32;
  double critic_initial_sd = 0.1;
  double critic_learning_rate = 0.005;
  int critic_updates = 2;  ///< Adam steps a result
  int critic_batch = 16;   ///< samples a step, drawn from all results

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

}  // namespace renas
