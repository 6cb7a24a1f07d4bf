#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "renas/evaluation.h"
#include "renas/log.h"
#include "renas/run_result.h"
#include "renas/strategy.h"
#include "renas/transport.h"

namespace renas {

/// All there is to say about a search over ranks.
struct SearchRunOptions {
  std::string data;    ///< HDF5 data set with groups `train` and `test`
  std::string folder;  ///< of the run
  bool resume = false;
  /// Text kept in the run's options.toml. With `resume` and not empty it replaces what is there,
  /// which is refused once a network was retrained, since all are retrained in the same way, unless
  /// `retrains_alike` says that nothing of that changes.
  std::string stored_options;
  bool retrains_alike = false;

  int blocks = 5;                      ///< B
  std::vector<std::string> operators;  ///< empty: all of renas_operators()
  /// A part of the paper's space, in place of the two above (SearchSpace::parse with
  /// Notation::kCell). The run keeps it, and goes on with no other.
  std::optional<SearchSpace> space;
  /// 2: a space of one cell is that of a normal and of a reduction cell (SearchSpace::pair).
  int cells_searched = 1;
  /// P, S, the strategy and its seed, which is the run's. The run keeps `initial_genomes`, and goes
  /// on with no others.
  /// The finalists, which are retrained, are chosen by posterior mean here, since a training's
  /// fitness is noisy; StrategyOptions alone has "population".
  StrategyOptions strategy = [] {
    StrategyOptions options;
    options.finalists = "posterior-mean";
    return options;
  }();
  /// Makes a strategy of your own from the space and the options above, on rank 0; empty:
  /// renas::make_strategy(). A run is resumed by its save() and load(), and by replaying asks and
  /// tells: asked alike, it must answer alike.
  std::function<std::unique_ptr<Strategy>(const SearchSpace&, const StrategyOptions&)>
      make_strategy;
  /// E: candidates after the first P. With `resume` there may be more than before; a search that
  /// had ended by their number then goes on.
  int children = 500;
  /// The search ends, as if all children were done, once so many in a row have brought no better
  /// fitness; 0: never.
  int patience = 0;
  int64_t max_parameters = 0;  ///< of a child's network; larger ones are drawn again; 0: any
  int64_t max_mult_adds = 0;   ///< likewise; both hold beside StrategyOptions::admits
  /// Accuracy and a small network are objectives side by side: StrategyOptions::size, which the
  /// caller then leaves empty, is the number of parameters of a child's network.
  bool weigh_parameters = false;
  /// Results count in the order in which candidates were handed out, and as many are out as there
  /// are ranks: equal seeds give equal runs on equally many ranks, which may wait for a slow one.
  bool in_order = false;
  /// Whether ranks have nothing to do while the strategy waits (Strategy::waits()); false: they
  /// evaluate more candidates without a parent, which count as children do.
  bool wait_for_parents = false;
  double time_budget = 0;   ///< seconds of searching over all sessions; 0: none
  int64_t validation = -1;  ///< images of D_val; -1: default_validation_count()
  /// The split that D_val is taken of, `val`; empty: it is held out of the training images.
  std::string validation_group;
  int64_t subset = 0;  ///< images of D_train; 0: all that validation leaves
  ChildOptions child;  ///< image and classes of its network are taken from the data
  /// Takes balanced_class_weights() of D_train as class weights of all networks.
  bool balance_classes = false;

  FinalOptions final;           ///< retraining of the finalists; network as above
  int64_t retrain_subset = -1;  ///< images of D_train then; 0: all; -1: as `subset`
  /// When fewer networks are left to retrain than there are ranks, at most so many of them train
  /// one together: each takes an equal share of the batch, which they must divide. 0: as many as
  /// there are, with 8 images of each step on a rank at least. A step has as many images as on one
  /// rank, so all networks follow one schedule of the rate; but batch norms normalise by a rank's
  /// share, and images that do not fill the last batch of an epoch are left out. A rank that is
  /// lost in the middle costs the epoch: the others leave the network, which goes on from its
  /// checkpoint.
  int retrain_ranks = 1;
  int controls = 0;  ///< random genomes retrained and tested beside the winner

  double snapshot_seconds = 30;  ///< least time between two snapshots
  /// Seconds of silence after which a busy rank counts as dead, and rank 0 for the others (for ten
  /// times as long before they have heard of it at all).
  double worker_timeout = 600;
  /// A child whose process died that often while it was trained counts as lost, over all sessions.
  /// Of children that are one death away from that only one is trained at a time.
  int max_attempts = 2;
  double io_patience = 5;    ///< seconds over which a file operation that failed is tried again
  double drain_seconds = 0;  ///< SearchRunHooks::drain
  double stop_grace = 20;    ///< seconds that ranks may take to leave once they were told to stop
};

/// The search space that `options` name. Throws InvalidInput.
SearchSpace space_of(const SearchRunOptions& options);

/// Where a run stands; handed out by the coordinator every `progress_seconds` of its hooks.
struct SearchProgress {
  enum class Phase { kSearch, kRetrain };
  Phase phase = Phase::kSearch;
  int64_t done = 0;  ///< candidates that came back, or networks retrained
  int64_t total = 0;
  double best = 0;               ///< fitness
  double mean = 0;               ///< of the population
  double images_per_second = 0;  ///< trained on, over all ranks, of late
  std::optional<double> seconds_left;
};

/// How run_search() ended.
struct SearchRunResult : RunResult {
  bool finished = false;  ///< false: stopped on request; resume goes on
  /// Number of ranks that have not left though they were told to. If it is not 0, make no
  /// collective call any more, MPI_Finalize included: it would hang.
  int silent_ranks = 0;
};

struct SearchRunHooks {
  const std::atomic<bool>* stop = nullptr;  ///< set it to end in order, soon; nothing is lost
  /// On rank 0, in the coordinator's thread.
  std::function<void(const SearchProgress&)> on_progress = nullptr;
  Log log = nullptr;
  int device_index = -1;  ///< which of this machine's devices this rank takes (Device::index)
  /// Where not null, gets SearchRunResult::silent_ranks, also where run_search() throws.
  int* silent_ranks = nullptr;
  /// Set it to end in order once what is under way is done: nothing more is handed out, and after
  /// `drain_seconds` what is still under way is left, as if `stop` had been set.
  const std::atomic<bool>* drain = nullptr;
  /// Bytes of memory that this rank may use. A network that needs more counts as out of memory
  /// without being trained. 0: not known; backends with a device of their own need none of it.
  int64_t memory = 0;
  double progress_seconds = 0.5;  ///< between two calls of `on_progress`; 0: every turn
};

/// Runs the search on all ranks of `transport`: called by every rank with equal options. Rank 0
/// coordinates in a thread of its own; every rank trains in the calling thread.
///
/// Only rank 0's result is filled. Throws what went wrong, on rank 0; other ranks then return.
/// Where rank 0 is silent for `worker_timeout` seconds, the others return with silent_ranks = 1.
SearchRunResult run_search(const SearchRunOptions& options, Transport& transport,
                           const SearchRunHooks& hooks);

/// What the data set of file `path` is, in a line: number, shape and classes of its training
/// images, and a hash of what decides a run: mean, deviation, names, and of train and test all
/// labels and some hundred images.
std::string identity_of(const std::string& path, const DataSet& train);

}  // namespace renas
