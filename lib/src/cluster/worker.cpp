#include "cluster/worker.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "cluster/messages.h"
#include "renas/error.h"
#include "renas/model.h"
#include "renas/run_directory.h"

namespace renas {

namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kReportEvery = std::chrono::seconds(1);
constexpr auto kIdle = std::chrono::milliseconds(2);

std::string host_name() {
  char name[256] = "";
  ::gethostname(name, sizeof name - 1);
  return name;
}

/// A stream of its own for each network retrained at the end, whatever rank trains it.
uint64_t retraining_stream(const std::string& name) {
  const bool control = name.starts_with(kControlPrefix);
  const uint64_t number = std::stoull(control ? name.substr(kControlPrefix.size()) : name);
  return 1 + 2 * number + (control ? 1 : 0);
}

class Worker {
 public:
  Worker(const RunSetup& setup, Transport& transport, const SearchRunHooks& hooks)
      : transport_(transport),
        hooks_(hooks),
        setup_(setup),
        backend_(make_backend(setup.options.backend)) {}

  /// Under way, by its name; empty: none.
  const std::string& task() const { return task_; }

  void run() {
    send({.kind = Report::Kind::kReady, .host = host_name()});
    while (!stopped_) {
      const auto text = transport_.next_from_coordinator();
      if (!text) {
        std::this_thread::sleep_for(kIdle);
        continue;
      }
      const Task task = decode_task(*text);
      task_ = task.kind == Task::Kind::kStop ? "" : name_of(task);
      switch (task.kind) {
        case Task::Kind::kStop:
          stopped_ = true;
          break;
        case Task::Kind::kEvaluate:
          evaluate(task);
          break;
        case Task::Kind::kRetrain:
          retrain(task);
          break;
      }
    }
  }

 private:
  void send(const Report& report) { transport_.send_to_coordinator(encode(report)); }

  /// Hooks that keep the coordinator informed and listen to it.
  TrainingHooks training_hooks() {
    TrainingHooks hooks;
    hooks.on_step = [this](int pictures) { unreported_ += pictures; };
    hooks.stop = [this] {  // asked after every step, of training and of scoring
      const auto now = Clock::now();
      if (now - last_report_ >= kReportEvery) {
        last_report_ = now;
        send({.kind = Report::Kind::kProgress, .pictures = std::exchange(unreported_, 0)});
      }
      if (hooks_.stop != nullptr && *hooks_.stop) return true;
      // In the middle of a task, stop is all a coordinator says.
      if (!stopped_ && transport_.next_from_coordinator()) stopped_ = true;
      return stopped_;
    };
    return hooks;
  }

  void finish(const Evaluation& evaluation, Clock::time_point start) {
    send({.kind = Report::Kind::kDone,
          .host = host_name(),
          .message = evaluation.message,
          .pictures = std::exchange(unreported_, 0),
          .task = std::exchange(task_, ""),
          .stopped = evaluation.stopped,
          .status = evaluation.status,
          .fitness = evaluation.fitness,
          .counts = evaluation.counts,
          .inherited = evaluation.inherited_share,
          .seconds = std::chrono::duration<double>(Clock::now() - start).count()});
  }

  void evaluate(const Task& task) {
    const auto start = Clock::now();
    const RunDirectory run = RunDirectory::open(setup_.options.folder);
    Candidate candidate;
    candidate.id = task.id;
    candidate.genome = parse_genome(setup_.space, task.genome);
    candidate.parent = task.parent;
    std::optional<Parent> parent;
    if (task.parent) {
      parent = Parent{parse_genome(setup_.space, task.parent_genome),
                      load_weights(run.weights_file(*task.parent), task.parent_genome)};
    }
    Evaluation evaluation = evaluate_candidate(
        *backend_, setup_.space, candidate, setup_.options.strategy.seed,
        parent ? &*parent : nullptr, setup_.search, setup_.options.child, training_hooks());
    if (evaluation.status == Status::kOk && !evaluation.stopped) {
      save_weights(run.weights_file(task.id), task.genome, evaluation.weights);
    }
    finish(evaluation, start);
  }

  void retrain(const Task& task) {
    const auto start = Clock::now();
    const RunDirectory run = RunDirectory::open(setup_.options.folder);
    const std::string checkpoint = run.checkpoint_file(task.name);
    const std::string purpose = "retraining of " + task.genome;
    FinalState state;
    state.training.seed =
        Random(setup_.options.strategy.seed, Purpose::kRetrain, retraining_stream(task.name)).bits64();
    if (std::filesystem::exists(checkpoint)) state = load_checkpoint(checkpoint, purpose);
    const FinalOptions& options = setup_.options.final;
    const Evaluation evaluation = train_from_scratch(
        *backend_, setup_.space, parse_genome(setup_.space, task.genome), std::move(state),
        setup_.final, options, training_hooks(), [&](const FinalState& reached) {
          if (reached.training.epoch < options.recipe.epochs) {
            save_checkpoint(checkpoint, purpose, reached);
          }
        });
    if (evaluation.status == Status::kOk && !evaluation.stopped) {
      const DataSetInfo& info = setup_.final.pictures.info();
      save_model(run.retrained_file(task.name), {.genome = task.genome,
                                                 .network = options.network,
                                                 .class_names = info.class_names,
                                                 .mean = info.mean,
                                                 .sd = info.sd,
                                                 .validation_accuracy = evaluation.fitness,
                                                 .weights = evaluation.weights});
      std::filesystem::remove(checkpoint);
    }
    finish(evaluation, start);
  }

  Transport& transport_;
  const SearchRunHooks& hooks_;
  const RunSetup& setup_;
  std::unique_ptr<Backend> backend_;
  bool stopped_ = false;
  std::string task_;         ///< under way, by its name
  int64_t unreported_ = 0;  ///< pictures
  Clock::time_point last_report_ = Clock::now();
};

void wait_for_stop(Transport& transport) {
  for (;;) {
    const auto text = transport.next_from_coordinator();
    if (text && decode_task(*text).kind == Task::Kind::kStop) return;
    if (!text) std::this_thread::sleep_for(kIdle);
  }
}

}  // namespace

void report_failure(Transport& transport, const std::exception& failure, const std::string& task) {
  const bool mistake = dynamic_cast<const InvalidInput*>(&failure) != nullptr ||
                       dynamic_cast<const IoError*>(&failure) != nullptr;
  transport.send_to_coordinator(
      encode({.kind = Report::Kind::kError,
              .host = host_name(),
              .message = fmt::format("[rank {}, {}] {}", transport.rank(), host_name(),
                                     failure.what()),
              .mistake = mistake,
              .task = task}));
  wait_for_stop(transport);
}

void run_worker(const RunSetup& setup, Transport& transport, const SearchRunHooks& hooks) {
  std::unique_ptr<Worker> worker;
  try {
    worker = std::make_unique<Worker>(setup, transport, hooks);
    worker->run();
  } catch (const std::exception& e) {
    report_failure(transport, e, worker ? worker->task() : "");
  }
}

}  // namespace renas
