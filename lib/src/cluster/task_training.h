#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cluster/coordinator_connection.h"
#include "cluster/memory.h"
#include "cluster/messages.h"
#include "cluster/retry.h"
#include "cluster/run_setup.h"
#include "renas/backend.h"
#include "renas/model.h"
#include "renas/run_directory.h"

namespace renas {

/// What a worker does for its tasks: it trains, writes weights or a model into the run's folder,
/// and tells the coordinator the result.
class TaskTraining {
 public:
  /// `memory` is what this rank may use, in bytes; 0: not known.
  TaskTraining(Backend& backend, const RunSetup& setup, int64_t memory,
               CoordinatorConnection& coordinator)
      : backend_(backend), setup_(setup), memory_(memory), coordinator_(coordinator) {}

  /// Does a task of kind kEvaluate or kRetrain. Throws IoError where files fail for longer than the
  /// run's patience.
  void run(const Task& task);

 private:
  void evaluate(const Task& task);
  void retrain(const Task& task);

  template <class Work>
  auto with_patience(const Work& work) {
    return retrying(work, setup_.options.io_patience, nullptr,
                    [this] { return coordinator_.tick(); });
  }
  RunDirectory open_run();
  /// The member that a child inherits from; none, and why in `problem`, where its weights cannot be
  /// had: the child is then trained from scratch.
  std::optional<Parent> find_parent(const RunDirectory& run, uint64_t id, std::string& problem);
  /// What comes of a network that needs more memory than this rank has; none: it may be trained.
  std::optional<Evaluation> too_big(const std::string& genome, const NetworkOptions& network,
                                    int batch, const Device& device) const;
  /// The state to go on from; where the checkpoint cannot be used, the start, and why in `problem`.
  FinalState find_state(const RunDirectory& run, const Task& task, const std::string& purpose,
                        std::string& problem);
  /// The whole model that an earlier attempt left and nobody heard of; none: it is to be trained.
  std::optional<Model> find_model(const RunDirectory& run, const Task& task);
  /// Trains a network from where its checkpoint is. Where that succeeds, saves it, as `model`; of
  /// ranks that train it together the first does.
  Evaluation train_network(const RunDirectory& run, const Task& task, const FinalOptions& options,
                           std::optional<Model>& model);
  /// The same for ranks that share each step. One that is asked to leave takes all with it; they
  /// hear of it, or of a rank that is lost, from the coordinator.
  Evaluation train_with_others(const RunDirectory& run, const Task& task,
                               const FinalOptions& options, std::optional<Model>& model);
  Score score_on_test_set(const Model& model);

  Backend& backend_;
  const RunSetup& setup_;
  const int64_t memory_;
  CoordinatorConnection& coordinator_;
  const int64_t memory_before_ = resident_memory();  ///< of this process, without a network
};

}  // namespace renas
