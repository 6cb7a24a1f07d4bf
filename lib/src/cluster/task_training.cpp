#include "cluster/task_training.h"

#include <fmt/format.h>

#include <chrono>
#include <thread>
#include <utility>

#include "cluster/group_communicator.h"
#include "core/files.h"

namespace renas {

namespace {

using Clock = CoordinatorConnection::Clock;

std::string ranks_text(int ranks) {
  return ranks == 1 ? "one rank" : fmt::format("{} ranks", ranks);
}

/// Makes sure that all ranks of a group are about to go on from the same state. Throws IoError on
/// those that see another checkpoint than the first of them.
void expect_same_epoch(Communicator& group, int epoch, const std::string& checkpoint) {
  const std::vector<double> epochs = gather(&group, epoch);
  if (epochs[static_cast<std::size_t>(group.rank())] == epochs[0]) return;
  throw IoError(fmt::format(
      "{}: expected the checkpoint of {} epochs that another rank sees, found that of {}; is the "
      "run's folder on a file system that the ranks share?",
      checkpoint, epochs[0], epoch));
}

}  // namespace

void TaskTraining::run(const Task& task) {
  if (task.kind == Task::Kind::kEvaluate) evaluate(task);
  if (task.kind == Task::Kind::kRetrain) retrain(task);
}

RunDirectory TaskTraining::open_run() {
  return with_patience([&] { return RunDirectory::open(setup_.options.folder, setup_.kind); });
}

std::optional<Parent> TaskTraining::find_parent(const RunDirectory& run, uint64_t id,
                                                std::string& problem) {
  try {
    MemberWeights member = with_patience([&] { return load_member(run.weights_file(id), id); });
    return Parent{parse_genome(setup_.space, member.genome), std::move(member.weights)};
  } catch (const IoError& e) {
    problem = e.what();
  } catch (const InvalidInput& e) {
    problem = e.what();
  }
  problem = fmt::format("the weights of parent {} cannot be used ({}); trained from scratch", id,
                        problem);
  return std::nullopt;
}

std::optional<Evaluation> TaskTraining::too_big(const std::string& genome,
                                                const NetworkOptions& network, int batch,
                                                const Device& device) const {
  if (memory_ == 0 || device.index >= 0) return std::nullopt;
  const SearchSpace space = space_of(genome);
  const Graph graph = build_network(space, parse_genome(space, genome), network);
  const int64_t needed =
      backend_
          .estimate(graph,
                    {.batch = batch, .threads = device.threads, .precision = device.precision})
          .bytes;
  if (needed <= memory_ - memory_before_) return std::nullopt;
  constexpr double kMiB = 1 << 20;
  Evaluation evaluation;
  evaluation.counts = count(graph);
  evaluation.status = Status::kOutOfMemory;
  evaluation.message = fmt::format(
      "its training needs {:.0f} MiB, this rank has {:.0f} of which {:.0f} are in use; not begun",
      static_cast<double>(needed) / kMiB, static_cast<double>(memory_) / kMiB,
      static_cast<double>(memory_before_) / kMiB);
  return evaluation;
}

void TaskTraining::evaluate(const Task& task) {
  const auto start = Clock::now();
  const ChildOptions& child = setup_.options.child;
  if (const auto refused = too_big(task.genome, child.network, child.batch, child.device)) {
    return coordinator_.finish(*refused, start);
  }
  const RunDirectory run = open_run();
  Candidate candidate;
  candidate.id = task.id;
  const Random random = candidate.stream(setup_.options.strategy.seed);
  std::string problem;
  std::optional<Parent> parent;
  if (task.parent && child.inherit) parent = find_parent(run, *task.parent, problem);
  Evaluation evaluation =
      evaluate_candidate(backend_, setup_.space, parse_genome(setup_.space, task.genome), random,
                         parent ? &*parent : nullptr, setup_.search, setup_.options.child,
                         coordinator_.training_hooks());
  if (evaluation.status == Status::kOk && !evaluation.stopped) {
    evaluation.message = problem;
    const MemberWeights member{task.genome, std::move(evaluation.weights)};
    with_patience([&] { save_member(run.weights_file(task.id), task.id, member); });
  }
  coordinator_.finish(evaluation, start);
}

FinalState TaskTraining::find_state(const RunDirectory& run, const Task& task,
                                    const std::string& purpose, std::string& problem) {
  const std::string checkpoint = run.checkpoint_file(task.name);
  try {
    if (exists(checkpoint)) {
      return with_patience([&] { return load_checkpoint(checkpoint, purpose); });
    }
  } catch (const IoError& e) {
    problem = fmt::format("{}; trained from the start", e.what());
  } catch (const InvalidInput& e) {
    problem = fmt::format("{}; trained from the start", e.what());
  }
  FinalState state;
  state.training.seed = task.seed;
  return state;
}

void TaskTraining::retrain(const Task& task) {
  const auto start = Clock::now();
  FinalOptions options = setup_.options.final;
  std::optional<GroupCommunicator> group;
  if (!task.ranks.empty()) {
    group.emplace(coordinator_.transport(), task.ranks, task.serial,
                  [this] { return coordinator_.tick(); });
    options.communicator = &*group;
    options.batch /= group->ranks();
  }
  if (const auto refused = too_big(task.genome, options.network, options.batch, options.device)) {
    return coordinator_.finish(*refused, start);
  }
  const RunDirectory run = open_run();
  std::optional<Model> model;
  if (setup_.kind == RunDirectory::Kind::kList) model = find_model(run, task);
  Evaluation evaluation;
  if (model) {
    evaluation.counts = count(graph_of(*model));
    evaluation.score.accuracy = model->validation_accuracy;
    evaluation.score.balanced_accuracy = model->validation_balanced_accuracy.value_or(0);
  } else if (group) {
    evaluation = train_with_others(run, task, options, model);
  } else {
    evaluation = train_network(run, task, options, model);
  }
  std::optional<Score> test;
  if (setup_.test && model && !evaluation.stopped) {
    test = score_on_test_set(*model);
    evaluation.stopped = coordinator_.interrupted();
  }
  coordinator_.finish(evaluation, start, test);
}

std::optional<Model> TaskTraining::find_model(const RunDirectory& run, const Task& task) {
  const std::string file = run.retrained_file(task.name);
  if (!exists(file)) return std::nullopt;
  try {
    Model model = with_patience([&] { return load_model(file); });
    if (model.genome == task.genome) return model;
  } catch (const Error&) {  // it is written anew
  }
  return std::nullopt;
}

Evaluation TaskTraining::train_with_others(const RunDirectory& run, const Task& task,
                                           const FinalOptions& options,
                                           std::optional<Model>& model) {
  Evaluation evaluation;
  try {
    evaluation = train_network(run, task, options, model);
  } catch (const ExchangeAbandoned&) {
    evaluation.stopped = true;
  } catch (const OutOfMemory& e) {
    evaluation.status = Status::kOutOfMemory;
    evaluation.message = fmt::format("[rank {}] {}", coordinator_.transport().rank(), e.what());
  }
  while (evaluation.stopped && !coordinator_.tick())
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  return evaluation;
}

Evaluation TaskTraining::train_network(const RunDirectory& run, const Task& task,
                                       const FinalOptions& options, std::optional<Model>& model) {
  const std::string checkpoint = run.checkpoint_file(task.name);
  const std::string purpose = "retraining of " + task.genome;
  Communicator* const group = options.communicator;
  const int ranks = group == nullptr ? 1 : group->ranks();
  const bool first = group == nullptr || group->rank() == 0;
  std::string problem;
  FinalState state = find_state(run, task, purpose, problem);
  if (group != nullptr) expect_same_epoch(*group, state.training.epoch, checkpoint);
  if (state.training.epoch > 0 && state.training.ranks != ranks) {
    problem = fmt::format(
        "trained by {} up to epoch {} and by {} from there, in batches shared "
        "otherwise than they would have been",
        ranks_text(state.training.ranks), state.training.epoch, ranks_text(ranks));
  }
  TrainingHooks hooks = coordinator_.training_hooks();
  if (!first) hooks.on_step = nullptr;  // the first tells of the images of all
  const SearchSpace space = space_of(task.genome);
  Evaluation evaluation =
      train_from_scratch(backend_, space, parse_genome(space, task.genome), std::move(state),
                         setup_.final, options, hooks, [&](const FinalState& reached) {
                           if (!first || reached.training.epoch == options.recipe.epochs) return;
                           with_patience([&] { save_checkpoint(checkpoint, purpose, reached); });
                         });
  if (evaluation.status != Status::kOk || evaluation.stopped || !first) return evaluation;
  evaluation.message = problem;
  model =
      make_model(task.genome, options.network, setup_.final.images.info(), options.augmentation);
  model->validation_accuracy = evaluation.score.accuracy;
  model->validation_balanced_accuracy = evaluation.score.balanced_accuracy;
  model->weights = std::move(evaluation.weights);
  with_patience([&] { save_model(run.retrained_file(task.name), *model); });
  try {
    remove_file(checkpoint);
  } catch (const IoError&) {  // it costs space, and the next resume removes it
  }
  return evaluation;
}

Score TaskTraining::score_on_test_set(const Model& model) {
  const FinalOptions& options = setup_.options.final;
  return score_network(backend_, graph_of(model), model.weights, *setup_.test,
                       all_indices(setup_.test->size()),
                       {.batch = options.batch,
                        .device = options.device,
                        .training = options.augmentation,
                        .stop = [this] { return coordinator_.tick(); }});
}

}  // namespace renas
