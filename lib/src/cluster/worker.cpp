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
  Worker(const SearchRunOptions& options, Transport& transport, const SearchRunHooks& hooks)
      : transport_(transport),
        hooks_(hooks),
        setup_(make_setup(options)),
        backend_(make_backend(options.backend)) {}

  void run() {
    send({.kind = Report::Kind::kReady, .host = host_name()});
    while (!stopped_) {
      const auto text = transport_.next_from_coordinator();
      if (!text) {
        std::this_thread::sleep_for(kIdle);
        continue;
      }
      const Task task = decode_task(*text);
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
    hooks.on_step = [this](int pictures) {
      unreported_ += pictures;
      const auto now = Clock::now();
      if (now - last_report_ < kReportEvery) return;
      last_report_ = now;
      send({.kind = Report::Kind::kProgress, .pictures = std::exchange(unreported_, 0)});
    };
    hooks.stop = [this] {
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
  RunSetup setup_;
  std::unique_ptr<Backend> backend_;
  bool stopped_ = false;
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

void run_worker(const SearchRunOptions& options, Transport& transport,
                const SearchRunHooks& hooks) {
  try {
    Worker(options, transport, hooks).run();
    return;
  } catch (const std::exception& e) {
    transport.send_to_coordinator(
        encode({.kind = Report::Kind::kError,
                .host = host_name(),
                .message = fmt::format("[rank {}, {}] {}", transport.rank(), host_name(), e.what())}));
  }
  wait_for_stop(transport);
}

}  // namespace renas
