#include "cluster/coordinator_connection.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "core/files.h"

namespace renas {

namespace {

/// How often a busy rank reports, where there are few; all ranks together report about
/// kReportsASecond times a second at most.
constexpr auto kReportEvery = std::chrono::seconds(1);
constexpr int kReportsASecond = 1000;
constexpr auto kIdle = std::chrono::milliseconds(2);
/// A worker that was itself suspended for so long cannot call the coordinator silent.
constexpr auto kSuspended = std::chrono::seconds(5);

std::chrono::steady_clock::duration report_interval(int ranks, double timeout) {
  using Duration = std::chrono::steady_clock::duration;
  const auto longest = std::chrono::duration_cast<Duration>(std::max(
      std::chrono::duration<double>(timeout / 4), std::chrono::duration<double>(kReportEvery)));
  return std::min<Duration>(
      std::max<Duration>(kReportEvery, kReportEvery * ranks / kReportsASecond), longest);
}

}  // namespace

CoordinatorConnection::CoordinatorConnection(Transport& transport, double timeout,
                                             const std::atomic<bool>* stop)
    : transport_(transport),
      timeout_(timeout),
      stop_(stop),
      report_every_(report_interval(transport.ranks(), timeout)) {}

std::string CoordinatorConnection::signed_by_rank(const std::string& message) const {
  return fmt::format("[rank {}, {}] {}", transport_.rank(), host_name(), message);
}

std::vector<Task> CoordinatorConnection::hear() {
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
    throw CoordinatorLost(signed_by_rank(
        fmt::format("rank 0 has been silent for {:.0f} s; giving up. Nothing that it wrote down is "
                    "lost: resume the run",
                    silence)));
  }
  return tasks;
}

void CoordinatorConnection::listen() {
  for (const Task& task : hear()) {
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

void CoordinatorConnection::say_ready(const std::string& data_identity) {
  send({.kind = Report::Kind::kReady, .host = host_name(), .data = data_identity});
}

std::optional<Task> CoordinatorConnection::next_task() {
  for (;; std::this_thread::sleep_for(kIdle)) {
    if (stopped_) return std::nullopt;
    listen();
    if (!next_) continue;
    const Task task = *std::exchange(next_, std::nullopt);
    task_ = name_of(task);
    serial_ = task.serial;
    dropped_ = false;
    return task;
  }
}

bool CoordinatorConnection::interrupted() {
  if (stopped_by_user()) return true;
  listen();
  return stopped_ || dropped_;
}

bool CoordinatorConnection::tick() {
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

TrainingHooks CoordinatorConnection::training_hooks() {
  TrainingHooks hooks;
  hooks.on_step = [this](int images) { unreported_ += images; };
  hooks.stop = [this] { return tick(); };  // asked after every step, of training and of scoring
  return hooks;
}

void CoordinatorConnection::finish(const Evaluation& evaluation, Clock::time_point start,
                                   const std::optional<Score>& test) {
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
        .sums = evaluation.sums,
        .seconds = std::chrono::duration<double>(Clock::now() - start).count()});
}

void CoordinatorConnection::give_back(const std::string& message) {
  dropped_ = false;
  send({.kind = Report::Kind::kError,
        .host = host_name(),
        .message = signed_by_rank(message),
        .mistake = true,
        .may_return = true,
        .task = std::exchange(task_, ""),
        .serial = serial_});
}

void CoordinatorConnection::give_up(const std::exception& failure) {
  send({.kind = Report::Kind::kError,
        .host = host_name(),
        .message = signed_by_rank(failure.what()),
        .mistake = dynamic_cast<const InvalidInput*>(&failure) != nullptr ||
                   dynamic_cast<const IoError*>(&failure) != nullptr,
        .task = task_,
        .serial = serial_});
  for (;; std::this_thread::sleep_for(kIdle)) {
    for (const Task& task : hear()) {
      if (task.kind == Task::Kind::kStop) return;
    }
  }
}

void CoordinatorConnection::say_bye() { send({.kind = Report::Kind::kBye, .host = host_name()}); }

}  // namespace renas
