#include "cluster/worker.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <vector>

#include "cluster/group_communicator.h"
#include "cluster/memory.h"
#include "cluster/messages.h"
#include "cluster/retry.h"
#include "core/files.h"
#include "renas/model.h"
#include "renas/run_directory.h"

namespace renas {

namespace {

using Clock = std::chrono::steady_clock;
/// How often a busy rank reports, where there are few; all ranks together report about
/// kReportsASecond times a second at most.
constexpr auto kReportEvery = std::chrono::seconds(1);
constexpr int kReportsASecond = 1000;
constexpr auto kIdle = std::chrono::milliseconds(2);
/// How long a rank whose files failed waits before it looks at them again; doubled each time.
constexpr auto kFirstRest = std::chrono::seconds(30);
constexpr auto kLongestRest = std::chrono::minutes(10);
/// A worker that was itself suspended for so long cannot call the coordinator silent.
constexpr auto kSuspended = std::chrono::seconds(5);

/// What has been heard of the coordinator.
class Ear {
 public:
  Ear(Transport& transport, double timeout) : transport_(transport), timeout_(timeout) {}

  /// All that the coordinator has said since the last call. Throws CoordinatorLost where it has
  /// said nothing for too long.
  std::vector<Task> listen() {
    const auto now = Clock::now();
    if (now - last_listened_ > kSuspended) heard_ = now;
    last_listened_ = now;
    std::vector<Task> tasks;
    while (const auto text = transport_.next_from_coordinator()) {
      heard_ = now;
      tasks.push_back(decode_task(*text));
    }
    ever_heard_ = ever_heard_ || !tasks.empty();
    // Rank 0 shares the coordinator's process. Before its first word it may be replaying a long
    // history.
    const double silence = std::chrono::duration<double>(now - heard_).count();
    if (transport_.rank() != 0 && silence > (ever_heard_ ? timeout_ : 10 * timeout_)) {
      throw CoordinatorLost(
          fmt::format("[rank {}, {}] rank 0 has been silent for {:.0f} s; giving up. Nothing that "
                      "it wrote down is "
                      "lost: resume the run",
                      transport_.rank(), host_name(), silence));
    }
    return tasks;
  }

 private:
  Transport& transport_;
  double timeout_;
  Clock::time_point heard_ = Clock::now();
  Clock::time_point last_listened_ = heard_;
  bool ever_heard_ = false;
};

void wait_for_stop(Ear& ear) {
  for (;;) {
    for (const Task& task : ear.listen()) {
      if (task.kind == Task::Kind::kStop) return;
    }
    std::this_thread::sleep_for(kIdle);
  }
}

std::string ranks_text(int ranks) {
  return ranks == 1 ? "one rank" : fmt::format("{} ranks", ranks);
}

class Worker {
 public:
  Worker(Backend& backend, const RunSetup& setup, Transport& transport, const SearchRunHooks& hooks,
         Ear& ear)
      : transport_(transport), hooks_(hooks), setup_(setup), ear_(ear), backend_(backend) {}

  /// What is under way, by its name; empty: nothing.
  const std::string& task() const { return task_; }
  uint64_t serial() const { return serial_; }  ///< of its handing out

  void run() {
    say_ready();
    while (!stopped_) {
      listen();
      if (!next_) {
        std::this_thread::sleep_for(kIdle);
        continue;
      }
      const Task task = *std::exchange(next_, std::nullopt);
      task_ = name_of(task);
      serial_ = task.serial;
      dropped_ = false;
      try {
        if (task.kind == Task::Kind::kEvaluate) evaluate(task);
        if (task.kind == Task::Kind::kRetrain) retrain(task);
        rest_ = kFirstRest;
      } catch (const IoError& e) {
        rest(e);
      }
    }
  }

 private:
  void send(const Report& report) { transport_.send_to_coordinator(encode(report)); }

  void say_ready() {
    send({.kind = Report::Kind::kReady, .host = host_name(), .data = setup_.data_identity});
  }

  void listen() {
    for (const Task& task : ear_.listen()) {
      switch (task.kind) {
        case Task::Kind::kStop:
          stopped_ = true;
          break;
        case Task::Kind::kDrop:
          dropped_ = dropped_ || task.serial == serial_;
          if (next_ && next_->serial == task.serial) next_.reset();
          break;
        case Task::Kind::kAlive:
          break;
        case Task::Kind::kEvaluate:
        case Task::Kind::kRetrain:
          next_ = task;
          break;
      }
    }
  }

  /// Whether to leave the task that is under way.
  bool interrupted() {
    if (hooks_.stop != nullptr && *hooks_.stop) return true;
    listen();
    return stopped_ || dropped_;
  }

  /// The same for work that takes long: the coordinator also hears of it, once a second.
  bool tick() {
    const auto now = Clock::now();
    if (now - last_report_ >= report_every_) {
      last_report_ = now;
      send({.kind = Report::Kind::kProgress,
            .images = std::exchange(unreported_, 0),
            .task = task_,
            .serial = serial_});
    }
    return interrupted();
  }

  /// This rank's files cannot be read or written. The task goes to another rank; this one looks
  /// again after a while.
  void rest(const IoError& failure) {
    dropped_ = false;
    send(
        {.kind = Report::Kind::kError,
         .host = host_name(),
         .message = fmt::format("[rank {}, {}] {}", transport_.rank(), host_name(), failure.what()),
         .mistake = true,
         .may_return = true,
         .task = std::exchange(task_, ""),
         .serial = serial_});
    while (!stopped_) {
      const auto until = Clock::now() + rest_;
      rest_ = std::min<Clock::duration>(2 * rest_, kLongestRest);
      while (!interrupted() && Clock::now() < until) std::this_thread::sleep_for(kIdle);
      if (stopped_ || (hooks_.stop != nullptr && *hooks_.stop)) return;
      try {
        const std::string probe =
            fmt::format("{}/retrain/probe-{}", setup_.options.folder, transport_.rank());
        write_text(probe, "This file shows that rank can write here.\n");
        remove_file(probe);
        return say_ready();
      } catch (const IoError&) {
      }
    }
  }

  /// Hooks that keep the coordinator informed and listen to it.
  TrainingHooks training_hooks() {
    TrainingHooks hooks;
    hooks.on_step = [this](int images) { unreported_ += images; };
    hooks.stop = [this] { return tick(); };  // asked after every step, of training and of scoring
    return hooks;
  }

  void finish(const Evaluation& evaluation, Clock::time_point start,
              const std::optional<Score>& test = std::nullopt) {
    send({.kind = Report::Kind::kDone,
          .host = host_name(),
          .message = evaluation.message,
          .images = std::exchange(unreported_, 0),
          .task = std::exchange(task_, ""),
          .serial = serial_,
          .stopped = evaluation.stopped,
          .status = evaluation.status,
          .fitness = evaluation.fitness,
          .validation = evaluation.score,
          .test = test,
          .counts = evaluation.counts,
          .inherited = evaluation.inherited_share,
          .seconds = std::chrono::duration<double>(Clock::now() - start).count()});
  }

  template <class Work>
  auto with_patience(const Work& work) {
    return retrying(work, setup_.options.io_patience, nullptr, [this] { return tick(); });
  }

  RunDirectory open_run() {
    return with_patience([&] { return RunDirectory::open(setup_.options.folder, setup_.kind); });
  }

  /// The member that a child inherits from; none, and why in `problem`, where its weights cannot be
  /// had: the child is then trained from scratch.
  std::optional<Parent> find_parent(const RunDirectory& run, uint64_t id, std::string& problem) {
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

  /// What comes of a network that needs more memory than this rank has; none: it may be trained.
  std::optional<Evaluation> too_big(const std::string& genome, const NetworkOptions& network,
                                    int batch, const Device& device) const {
    if (hooks_.memory == 0 || device.index >= 0) return std::nullopt;
    const SearchSpace space = space_of(genome);
    const Graph graph = build_network(space, parse_genome(space, genome), network);
    const int64_t needed =
        backend_
            .estimate(graph,
                      {.batch = batch, .threads = device.threads, .precision = device.precision})
            .bytes;
    if (needed <= hooks_.memory - memory_before_) return std::nullopt;
    constexpr double kMiB = 1 << 20;
    Evaluation evaluation;
    evaluation.counts = count(graph);
    evaluation.status = Status::kOutOfMemory;
    evaluation.message = fmt::format(
        "its training needs {:.0f} MiB, this rank has {:.0f} of which {:.0f} are in use; not begun",
        static_cast<double>(needed) / kMiB, static_cast<double>(hooks_.memory) / kMiB,
        static_cast<double>(memory_before_) / kMiB);
    return evaluation;
  }

  void evaluate(const Task& task) {
    const auto start = Clock::now();
    const ChildOptions& child = setup_.options.child;
    if (const auto refused = too_big(task.genome, child.network, child.batch, child.device)) {
      return finish(*refused, start);
    }
    const RunDirectory run = open_run();
    Candidate candidate;
    candidate.id = task.id;
    const Random random = candidate.stream(setup_.options.strategy.seed);
    std::string problem;
    std::optional<Parent> parent;
    if (task.parent) parent = find_parent(run, *task.parent, problem);
    Evaluation evaluation = evaluate_candidate(
        backend_, setup_.space, parse_genome(setup_.space, task.genome), random,
        parent ? &*parent : nullptr, setup_.search, setup_.options.child, training_hooks());
    if (evaluation.status == Status::kOk && !evaluation.stopped) {
      evaluation.message = problem;
      const MemberWeights member{task.genome, std::move(evaluation.weights)};
      with_patience([&] { save_member(run.weights_file(task.id), task.id, member); });
    }
    finish(evaluation, start);
  }

  /// The state to go on from; where the checkpoint cannot be used, the start, and why in `problem`.
  FinalState find_state(const RunDirectory& run, const Task& task, const std::string& purpose,
                        std::string& problem) {
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

  void retrain(const Task& task) {
    const auto start = Clock::now();
    FinalOptions options = setup_.options.final;
    std::optional<GroupCommunicator> group;
    if (!task.ranks.empty()) {
      group.emplace(transport_, task.ranks, task.serial, [this] { return tick(); });
      options.communicator = &*group;
      options.batch /= group->ranks();
    }
    if (const auto refused = too_big(task.genome, options.network, options.batch, options.device)) {
      return finish(*refused, start);
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
      evaluation.stopped = interrupted();
    }
    finish(evaluation, start, test);
  }

  /// The whole model that an earlier attempt left and nobody heard of; none: it is to be trained.
  std::optional<Model> find_model(const RunDirectory& run, const Task& task) {
    const std::string file = run.retrained_file(task.name);
    if (!exists(file)) return std::nullopt;
    try {
      Model model = with_patience([&] { return load_model(file); });
      if (model.genome == task.genome) return model;
    } catch (const Error&) {  // it is written anew
    }
    return std::nullopt;
  }

  /// The same as train_network() for ranks that share each step. One that is asked to leave takes
  /// all with it; they hear of it, or of a rank that is lost, from the coordinator.
  Evaluation train_with_others(const RunDirectory& run, const Task& task,
                               const FinalOptions& options, std::optional<Model>& model) {
    Evaluation evaluation;
    try {
      evaluation = train_network(run, task, options, model);
    } catch (const ExchangeAbandoned&) {
      evaluation.stopped = true;
    } catch (const OutOfMemory& e) {
      evaluation.status = Status::kOutOfMemory;
      evaluation.message = fmt::format("[rank {}] {}", transport_.rank(), e.what());
    }
    while (evaluation.stopped && !tick()) std::this_thread::sleep_for(kIdle);
    return evaluation;
  }

  /// Makes sure that all ranks of a group are about to go on from the same state. Throws IoError on
  /// those that see another checkpoint than the first of them.
  static void expect_same_epoch(Communicator& group, int epoch, const std::string& checkpoint) {
    const std::vector<double> epochs = gather(&group, epoch);
    if (epochs[static_cast<std::size_t>(group.rank())] == epochs[0]) return;
    throw IoError(fmt::format(
        "{}: expected the checkpoint of {} epochs that another rank sees, found that of {}; is the "
        "run's folder on a file system that the ranks share?",
        checkpoint, epochs[0], epoch));
  }

  /// Trains a network from where its checkpoint is. Where that succeeds, saves it, as `model`; of
  /// ranks that train it together the first does.
  Evaluation train_network(const RunDirectory& run, const Task& task, const FinalOptions& options,
                           std::optional<Model>& model) {
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
          "trained by {} up to epoch {} and by {} from there, in batches shared otherwise than "
          "they "
          "would have been",
          ranks_text(state.training.ranks), state.training.epoch, ranks_text(ranks));
    }
    TrainingHooks hooks = training_hooks();
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

  Score score_on_test_set(const Model& model) {
    const FinalOptions& options = setup_.options.final;
    return score_network(backend_, graph_of(model), model.weights, *setup_.test,
                         all_indices(setup_.test->size()),
                         {.batch = options.batch,
                          .device = options.device,
                          .training = options.augmentation,
                          .stop = [this] { return tick(); }});
  }

  Transport& transport_;
  const SearchRunHooks& hooks_;
  const RunSetup& setup_;
  Ear& ear_;
  Backend& backend_;
  const int64_t memory_before_ = resident_memory();  ///< of this process, without a network
  std::optional<Task> next_;
  bool stopped_ = false;
  bool dropped_ = false;    ///< the task under way was given to another rank
  std::string task_;        ///< under way, by its name
  uint64_t serial_ = 0;     ///< and the serial number of its handing out
  int64_t unreported_ = 0;  ///< images
  Clock::time_point last_report_ = Clock::now();
  const Clock::duration report_every_ = std::min<Clock::duration>(
      std::max<Clock::duration>(kReportEvery, kReportEvery* transport_.ranks() / kReportsASecond),
      std::chrono::duration_cast<Clock::duration>(
          std::max(std::chrono::duration<double>(setup_.options.worker_timeout / 4),
                   std::chrono::duration<double>(kReportEvery))));
  Clock::duration rest_ = kFirstRest;
};

/// Tells the coordinator of a failure that ends this rank's part, and waits to be told to stop.
void report(Transport& transport, Ear& ear, const std::exception& failure, const Worker* worker) {
  const bool mistake = dynamic_cast<const InvalidInput*>(&failure) != nullptr ||
                       dynamic_cast<const IoError*>(&failure) != nullptr;
  Report report;
  report.kind = Report::Kind::kError;
  report.host = host_name();
  report.message = fmt::format("[rank {}, {}] {}", transport.rank(), host_name(), failure.what());
  report.mistake = mistake;
  if (worker != nullptr) {
    report.task = worker->task();
    report.serial = worker->serial();
  }
  transport.send_to_coordinator(encode(report));
  wait_for_stop(ear);
}

void say_bye(Transport& transport) {
  transport.send_to_coordinator(encode(Report{.kind = Report::Kind::kBye, .host = host_name()}));
}

}  // namespace

void report_failure(const SearchRunOptions& options, Transport& transport,
                    const std::exception& failure) {
  Ear ear(transport, options.worker_timeout);
  report(transport, ear, failure, nullptr);
  say_bye(transport);
}

void run_worker(Backend& backend, const RunSetup& setup, Transport& transport,
                const SearchRunHooks& hooks) {
  Ear ear(transport, setup.options.worker_timeout);
  std::optional<Worker> worker;
  try {
    worker.emplace(backend, setup, transport, hooks, ear);
    worker->run();
  } catch (const CoordinatorLost&) {
    throw;
  } catch (const std::exception& e) {
    report(transport, ear, e, worker ? &*worker : nullptr);
  }
  say_bye(transport);
}

}  // namespace renas
