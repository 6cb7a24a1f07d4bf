#include "cluster/coordinator.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <thread>

#include "core/files.h"
#include "renas/error.h"
#include "renas/model.h"

namespace renas {

namespace {

constexpr auto kIdle = std::chrono::milliseconds(2);
constexpr auto kProgressEvery = std::chrono::milliseconds(500);
/// How long ranks that were asked to stop may take; a step of training is far shorter.
constexpr auto kStopGrace = std::chrono::seconds(20);
/// How long after its start a run says which ranks it still misses.
constexpr auto kMissingAfter = std::chrono::seconds(60);

/// Epochs that earlier attempts at retraining a network left in its checkpoint.
int epochs_done(const RunDirectory& run, const RetrainedNetwork& network) {
  try {
    const std::string checkpoint = run.checkpoint_file(network.name);
    return exists(checkpoint) ? checkpoint_epoch(checkpoint) : 0;
  } catch (const IoError&) {  // the worker will say what is wrong with it
    return 0;
  }
}

}  // namespace

Coordinator::Coordinator(RunSetup setup, Transport& transport, const SearchRunHooks& hooks)
    : setup_(std::move(setup)),
      transport_(transport),
      hooks_(hooks),
      journal_(setup_, transport.ranks(), hooks.log),
      attempts_(journal_.run().attempts_file()),
      workers_(transport.ranks(), setup_.options.worker_timeout, Clock::now()) {
  progress_.begin_phase(Clock::now(), journal_.results());
}

void Coordinator::log(LogLevel level, const std::string& text) const {
  if (hooks_.log) hooks_.log(level, text);
}

bool Coordinator::stop_requested() const {
  return stopping_ || (hooks_.stop != nullptr && *hooks_.stop);
}

SearchRunResult Coordinator::run() {
  const SearchRunOptions& o = setup_.options;
  log(LogLevel::kInfo,
      fmt::format("{}: {} members and {} children of {}, {} images of D_train and {} of D_val, "
                  "{} rank{}",
                  o.strategy.name, o.strategy.population, o.children, setup_.space.name(),
                  setup_.search.train.size(), setup_.search.validation.size(), transport_.ranks(),
                  transport_.ranks() == 1 ? "" : "s"));
  try {
    loop();
    journal_.save_snapshot(true);
  } catch (...) {
    tell_all_to_stop();
    throw;
  }
  tell_all_to_stop();
  return result();
}

void Coordinator::loop() {
  std::optional<Clock::time_point> stopping_since;
  for (;;) {
    bool idle = true;
    while (const auto message = transport_.next_from_workers()) {
      idle = false;
      handle(message->rank, decode_report(message->text));
    }
    if (!retraining_ && journal_.is_over()) begin_retraining();
    if (!retraining_) journal_.ask_ahead();
    if (everything_done()) return;
    if (stop_requested()) {
      // Workers of other ranks may not have seen the signal; then they are told.
      if (!stopping_since) {
        stopping_since = Clock::now();
        log(LogLevel::kInfo, "stopping: leaving unfinished children for the next start");
        if (journal_.waiting() > 0) {
          log(LogLevel::kInfo, fmt::format("{} finished ones wait for older ones: done again then",
                                           journal_.waiting()));
        }
        for (int r = 1; r < workers_.size(); ++r) send(r, Task{});
      }
      if (!workers_.any_busy() || Clock::now() - *stopping_since > kStopGrace) return;
    } else {
      for (int r = 0; r < workers_.size(); ++r) hand_out(r);
    }
    look_after_workers();
    journal_.save_snapshot(false);
    report_progress();
    if (idle) std::this_thread::sleep_for(kIdle);
  }
}

void Coordinator::begin_retraining() {
  journal_.end_search();
  const SearchCounts counts = journal_.strategy().counts();
  log(LogLevel::kInfo,
      fmt::format("drawn again: {} candidates beyond the limits, {} seen before; {} of {} handed out "
                  "had been seen before",
                  counts.redrawn_limits, counts.redrawn_repeats, counts.repeats, counts.asked));
  retraining_.emplace(setup_, journal_.run(), journal_.strategy().population(), hooks_.log);
  const std::size_t before = retraining_->done().size();
  progress_.begin_phase(Clock::now(), before);
  log(LogLevel::kInfo,
      fmt::format("search done after {} results; retraining {} networks from scratch{}",
                  journal_.results(), retraining_->size(),
                  before == 0 ? "" : fmt::format(", {} of them done before", before)));
}

void Coordinator::hand_out(int rank) {
  if (!workers_.is_free(rank)) return;
  while (retraining_ ? !hand_out_network(rank) : !hand_out_candidate(rank)) {
  }
}

/// Why `task` counts as lost, where it was begun so often, and never answered, that its rank must have
/// died of it.
std::optional<Report> Coordinator::given_up(const std::string& task, int progress) {
  const int attempts = attempts_.unanswered(task, progress);
  if (attempts < setup_.options.max_attempts) return std::nullopt;
  attempts_.end(task);
  return Report{.message = fmt::format("its rank died {} times while training it", attempts),
                .status = Status::kLost};
}

/// False: the next candidate was given up, so that there may be another.
bool Coordinator::hand_out_candidate(int rank) {
  const auto candidate = journal_.next();
  if (!candidate) return true;
  const Task task{.kind = Task::Kind::kEvaluate,
                  .id = candidate->id,
                  .genome = to_string(setup_.space, candidate->genome),
                  .parent = candidate->parent};
  const std::string name = name_of(task);
  if (auto lost = given_up(name, 0)) {
    log(LogLevel::kWarning,
        fmt::format("candidate {} counts as lost: {}", candidate->id, lost->message));
    journal_.record({-1, *candidate, std::move(*lost)});
    return false;
  }
  attempts_.begin(name);
  workers_.assign(rank, name, *candidate, Clock::now());
  send(rank, task);
  return true;
}

/// False: as above.
bool Coordinator::hand_out_network(int rank) {
  auto network = retraining_->next();
  if (!network) return true;
  const Task task{.kind = Task::Kind::kRetrain, .genome = network->genome, .name = network->name};
  const std::string name = name_of(task);
  const int epochs = epochs_done(journal_.run(), *network);
  if (const auto lost = given_up(name, epochs)) {
    retraining_->take(std::move(*network), -1, *lost, hooks_.log);
    return false;
  }
  attempts_.begin(name, epochs);
  workers_.assign(rank, name, std::move(*network), Clock::now());
  send(rank, task);
  return true;
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
      if (workers_[rank].work && workers_[rank].task == report.task) {
        take_result(rank, report);
      } else {
        take_late(report);
      }
      break;
  }
}

void Coordinator::welcome(int rank, const Report& report) {
  if (report.data != setup_.data_identity) {
    workers_.leaves(rank);
    log(LogLevel::kError,
        fmt::format("rank {} on {}: its {} is another data set ({}) than that of rank 0 ({}); going on "
                    "without this rank. Copy the file anew to that machine",
                    rank, report.host, setup_.options.data, report.data, setup_.data_identity));
    send(rank, Task{});
    return;
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
    send(rank, {.kind = Task::Kind::kDrop, .name = report.task});
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
  attempts_.end(report.task);
  auto work = workers_.take(rank);
  if (auto* candidate = std::get_if<Candidate>(&*work)) {
    journal_.record({rank, std::move(*candidate), report});
  } else {
    auto& network = std::get<RetrainedNetwork>(*work);
    retraining_->take(std::move(network), rank, report, hooks_.log);
  }
}

/// What a rank had goes to the next one that is free.
void Coordinator::take_back(int rank) {
  const std::string task = workers_[rank].task;
  auto work = workers_.take(rank);
  if (!work) return;
  attempts_.end(task);
  if (auto* candidate = std::get_if<Candidate>(&*work)) {
    journal_.give_back(*candidate);
  } else {
    retraining_->give_back(std::move(std::get<RetrainedNetwork>(*work)));
  }
}

/// The result of a task that went to another rank meanwhile.
void Coordinator::take_late(const Report& report) {
  if (report.task.empty() || report.task.starts_with("retrain")) return;
  journal_.discard_late(std::stoull(report.task));
}

/// A rank cannot go on; the run can while others do.
void Coordinator::take_failure(int rank, const Report& report) {
  if (workers_[rank].task == report.task) take_back(rank);
  workers_.leaves(rank);
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
    log(LogLevel::kError, fmt::format("rank {} on {} has been silent for {:.0f} s; going on without it",
                                      rank, workers_[rank].host, setup_.options.worker_timeout));
    if (retraining_) {
      take_back(rank);
      continue;
    }
    attempts_.end(workers_[rank].task);
    auto work = workers_.take(rank);
    journal_.record({rank, std::get<Candidate>(std::move(*work)),
                     {.message = "its rank fell silent", .status = Status::kLost}});
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
  const auto now = Clock::now();
  const double age = std::chrono::duration<double>(now - last_sign_of_life_).count();
  if (age < setup_.options.worker_timeout / 4) return;
  last_sign_of_life_ = now;
  for (int r = 1; r < workers_.size(); ++r) {
    if (!workers_[r].silent) send(r, {.kind = Task::Kind::kAlive});
  }
}

void Coordinator::report_progress() {
  const auto now = Clock::now();
  if (!hooks_.on_progress || now - last_progress_ < kProgressEvery) return;
  last_progress_ = now;
  hooks_.on_progress(
      progress_.at(now, journal_, retraining_ ? &*retraining_ : nullptr, setup_.options));
}

void Coordinator::tell_all_to_stop() {
  for (int r = 0; r < workers_.size(); ++r) send(r, Task{});
}

SearchRunResult Coordinator::result() const {
  SearchRunResult result;
  if (everything_done()) result = retraining_->result();
  result.silent_ranks = workers_.silent_count();
  return result;
}

}  // namespace renas
