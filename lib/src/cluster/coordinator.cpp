#include "cluster/coordinator.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <thread>

#include "renas/error.h"

namespace renas {

namespace {

constexpr auto kIdle = std::chrono::milliseconds(2);
constexpr int kMessagesATurn = 4096;
/// How long after its start a run says which ranks it still misses.
constexpr auto kMissingAfter = std::chrono::seconds(60);

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

Coordinator::Coordinator(const RunSetup& setup, WorkQueue& queue, Transport& transport,
                         const SearchRunHooks& hooks)
    : setup_(setup),
      transport_(transport),
      hooks_(hooks),
      queue_(queue),
      workers_(transport.ranks(), setup_.options.worker_timeout, Clock::now()) {
  begin_phase();
}

void Coordinator::begin_phase() {
  progress_.begin_phase(Clock::now(), static_cast<uint64_t>(queue_.progress().done));
}

bool Coordinator::stop_requested() const {
  return stopping_ || (hooks_.stop != nullptr && *hooks_.stop);
}

/// Whether nothing more is handed out. Once all that was under way is done, or it has taken too
/// long, the run stops.
bool Coordinator::draining() {
  if (hooks_.drain == nullptr || !*hooks_.drain) return false;
  if (!draining_since_) {
    draining_since_ = Clock::now();
    log(LogLevel::kInfo, fmt::format("no more children are begun; those under way have {:.0f} s",
                                     setup_.options.drain_seconds));
  }
  stopping_ = stopping_ || !workers_.any_busy() ||
              seconds_since(*draining_since_) > setup_.options.drain_seconds;
  return true;
}

int Coordinator::run() {
  log(LogLevel::kInfo, fmt::format("{}, {} rank{}", queue_.description(), transport_.ranks(),
                                   transport_.ranks() == 1 ? "" : "s"));
  for (const std::string& warning : setup_.search.warnings) log(LogLevel::kWarning, warning);
  try {
    loop();
    queue_.save_snapshot(true);
  } catch (...) {
    const std::exception_ptr failure = std::current_exception();
    try {
      queue_.commit();                 // results that came in the turn that failed
    } catch (const std::exception&) {  // their children are done again
    }
    dismiss_workers();
    std::rethrow_exception(failure);
  }
  dismiss_workers();
  return workers_.count_not_gone();
}

void Coordinator::loop() {
  std::optional<Clock::time_point> stopping_since;
  for (;;) {
    bool idle = true;
    // Of a flood of messages a turn takes a part: free ranks must not wait for its end.
    for (int taken = 0; taken < kMessagesATurn; ++taken) {
      const auto message = transport_.next_from_workers();
      if (!message) break;
      idle = false;
      handle(message->rank, decode_report(message->text));
    }
    queue_.commit();
    if (queue_.advance()) begin_phase();
    if (queue_.is_done()) return;
    const bool drains = draining();
    if (stop_requested()) {
      // Workers of other ranks may not have seen the signal; then they are told.
      if (!stopping_since) {
        stopping_since = Clock::now();
        log(LogLevel::kInfo, "stopping: leaving unfinished children for the next start");
        if (queue_.waiting() > 0) {
          log(LogLevel::kInfo, fmt::format("{} finished ones wait for older ones: done again then",
                                           queue_.waiting()));
        }
        for (int r = 0; r < workers_.size(); ++r) send(r, Task{});
      }
      if (!workers_.any_busy() || seconds_since(*stopping_since) > setup_.options.stop_grace) {
        return;
      }
    } else if (!drains) {
      hand_out();
    }
    look_after_workers();
    queue_.save_snapshot(false);
    report_progress();
    if (idle) std::this_thread::sleep_for(kIdle);
  }
}

void Coordinator::hand_out() {
  for (int rank = 0; rank < workers_.size(); ++rank) {
    if (!workers_.is_free(rank)) continue;
    RankCounts counts;
    if (queue_.networks() != nullptr && transport_.connects_workers()) {
      counts = {workers_.size(), workers_.count_usable(!announced_), workers_.count_free()};
    }
    auto item = queue_.next(counts);
    if (!item) return;
    const std::vector<int> ranks = workers_.free_ranks(item->ranks);
    if (ranks.size() > 1) {
      item->task.ranks = ranks;
      const int batch = setup_.options.final.batch;
      log(LogLevel::kInfo,
          fmt::format("ranks {} {} together: a batch of {} on each, {} images a step",
                      fmt::join(ranks, ", "), name_of(item->task), batch / item->ranks, batch));
    }
    item->task.serial =
        workers_.assign(ranks, name_of(item->task), std::move(item->work), Clock::now());
    for (const int r : ranks) send(r, item->task);
  }
}

void Coordinator::handle(int rank, const Report& report) {
  workers_.heard(rank, Clock::now());
  progress_.add_images(Clock::now(), report.images);
  if (workers_[rank].silent) welcome_back(rank, report);
  switch (report.kind) {
    case Report::Kind::kReady:
      welcome(rank, report);
      break;
    case Report::Kind::kProgress:
      break;
    case Report::Kind::kError:
      take_failure(rank, report);
      break;
    case Report::Kind::kDone:
      if (!has(rank, report)) return queue_.take_late(report.task);
      take_result(rank, report);
      break;
    case Report::Kind::kBye:
      workers_.is_gone(rank);
      break;
  }
}

/// Whether `report` is of the task that the rank was given last, and still has.
bool Coordinator::has(int rank, const Report& report) const {
  return workers_[rank].busy() && workers_[rank].serial == report.serial;
}

void Coordinator::welcome(int rank, const Report& report) {
  if (report.data != setup_.data_identity) {
    workers_.leaves(rank);
    log(LogLevel::kError,
        fmt::format(
            "rank {} on {}: its {} is another data set ({}) than that of rank 0 ({}); going on "
            "without this rank. Copy the file anew to that machine",
            rank, report.host, setup_.options.data, report.data, setup_.data_identity));
    return send(rank, Task{});
  }
  const bool returns = workers_[rank].away;
  workers_.becomes_ready(rank, report.host);
  if (returns) {
    log(LogLevel::kWarning, fmt::format("rank {} on {} takes part again", rank, report.host));
  }
}

/// A rank that was given up on is back; what it had was given to others.
void Coordinator::welcome_back(int rank, const Report& report) {
  log(LogLevel::kWarning, fmt::format("rank {} on {} is back", rank, workers_[rank].host));
  workers_.is_back(rank);
  if (report.kind == Report::Kind::kProgress) {
    send(rank, {.kind = Task::Kind::kDrop, .serial = report.serial});
  }
}

void Coordinator::take_result(int rank, const Report& report) {
  if (report.stopped) {
    take_back(rank);
    if (stop_requested()) return;
    // A signal reached that rank alone: it is leaving, the others go on.
    workers_.leaves(rank);
    log(LogLevel::kWarning, fmt::format("rank {} on {} was stopped by a signal of its own; going "
                                        "on without it",
                                        rank, workers_[rank].host));
    stopping_ = workers_.nobody_left();
    return;
  }
  // Of ranks that had the task together the first has written the result; but a failure is told by
  // whoever has it.
  if (workers_[rank].helps && report.status == Status::kOk) return workers_.release(rank);
  queue_.take(rank, report.task, *take_from(rank), report);
}

/// Takes away what a rank had; those that had it together with that one are told to leave it.
std::optional<WorkerPool::Work> Coordinator::take_from(int rank) {
  for (const int other : workers_.partners(rank)) {
    send(other, {.kind = Task::Kind::kDrop, .serial = workers_[rank].serial});
  }
  return workers_.take(rank);
}

/// What a rank had goes to the next one that is free.
void Coordinator::take_back(int rank) {
  const std::string task = workers_[rank].task;
  if (auto work = take_from(rank)) queue_.give_back(task, std::move(*work));
}

/// The same, but the attempt counts.
void Coordinator::lose(int rank) {
  const std::string task = workers_[rank].task;
  if (auto work = take_from(rank)) queue_.lose(task, std::move(*work));
}

/// A rank cannot go on; the run can while others do. What broke anything but its files, such as a
/// device, may have been the task, so that attempt counts; but where no rank is left, who knows.
void Coordinator::take_failure(int rank, const Report& report) {
  workers_.leaves(rank);
  if (has(rank, report)) {
    if (report.mistake || workers_.nobody_left()) {
      take_back(rank);
    } else {
      lose(rank);
    }
  }
  if (workers_.nobody_left()) {
    if (report.mistake) throw IoError(report.message);
    throw Error(report.message);
  }
  log(LogLevel::kError,
      fmt::format("{}; going on without this rank{}", report.message,
                  report.may_return ? " until its files can be read and written again" : ""));
}

void Coordinator::look_after_workers() {
  for (const int rank : workers_.newly_silent(Clock::now())) {
    log(LogLevel::kError,
        fmt::format("rank {} on {} has been silent for {:.0f} s; going on without it", rank,
                    workers_[rank].host, setup_.options.worker_timeout));
    lose(rank);
  }
  if (workers_.nobody_left()) {
    throw Error("no rank is left: all failed or fell silent; resume the run on healthy nodes");
  }
  say_who_is_missing();
  send_signs_of_life();
}

void Coordinator::say_who_is_missing() {
  if (announced_) return;
  const std::vector<int> missing = workers_.not_heard_of();
  if (!missing.empty() && Clock::now() - started_ < kMissingAfter) return;
  announced_ = true;
  if (missing.empty()) return;
  log(LogLevel::kWarning, fmt::format("{} of {} ranks have not reported yet: {}", missing.size(),
                                      workers_.size(), fmt::join(missing, ", ")));
}

/// Workers that hear nothing of rank 0 for `worker_timeout` seconds give up.
void Coordinator::send_signs_of_life() {
  if (seconds_since(last_sign_of_life_) < setup_.options.worker_timeout / 4) return;
  last_sign_of_life_ = Clock::now();
  for (int r = 1; r < workers_.size(); ++r) send(r, {.kind = Task::Kind::kAlive});
}

void Coordinator::report_progress() {
  if (!hooks_.on_progress || seconds_since(last_progress_) < hooks_.progress_seconds) return;
  const auto now = Clock::now();
  last_progress_ = now;
  hooks_.on_progress(progress_.at(now, queue_.progress()));
}

/// Tells all workers to stop, and waits a while for those that are not silent to leave: where one
/// does not, nothing that is collective over all ranks may follow.
void Coordinator::dismiss_workers() {
  for (int r = 0; r < workers_.size(); ++r) {
    take_back(r);  // what is under way was not answered, but its rank did not die of it
    send(r, Task{});
  }
  const auto start = Clock::now();
  while (workers_.waits_for_any() && seconds_since(start) < setup_.options.stop_grace) {
    while (const auto message = transport_.next_from_workers()) {
      const Report report = decode_report(message->text);
      if (report.kind == Report::Kind::kBye) workers_.is_gone(message->rank);
      if (report.kind == Report::Kind::kDone) queue_.take_late(report.task);
    }
    std::this_thread::sleep_for(kIdle);
  }
  if (hooks_.silent_ranks != nullptr) *hooks_.silent_ranks = workers_.count_not_gone();
}

}  // namespace renas
