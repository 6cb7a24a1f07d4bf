#include "cluster/work_queue.h"

#include <fmt/format.h>

#include <charconv>

#include "core/files.h"
#include "renas/error.h"
#include "renas/model.h"

namespace renas {

WorkQueue::WorkQueue(const RunSetup& setup, int ranks, Log log)
    : setup_(setup),
      log_(std::move(log)),
      journal_(setup, ranks, log_),
      attempts_(journal_.run().attempts_file()) {}

void WorkQueue::say(LogLevel level, const std::string& text) const {
  if (log_) log_(level, text);
}

std::optional<WorkQueue::Item> WorkQueue::next() {
  return retraining_ ? next_network() : next_candidate();
}

std::optional<WorkQueue::Item> WorkQueue::next_candidate() {
  std::optional<Item> item;
  std::vector<Candidate> later;
  while (!item) {
    auto candidate = journal_.next();
    if (!candidate) break;
    const Task task{.kind = Task::Kind::kEvaluate,
                    .id = candidate->id,
                    .genome = to_string(setup_.space, candidate->genome),
                    .parent = candidate->parent};
    const std::string name = name_of(task);
    if (auto lost = given_up(name, 0)) {
      say(LogLevel::kWarning,
          fmt::format("candidate {} counts as lost: {}", candidate->id, lost->message));
      journal_.record({-1, std::move(*candidate), std::move(*lost)});
    } else if (may_begin(name, 0)) {
      item = Item{task, std::move(*candidate)};
    } else {
      later.push_back(std::move(*candidate));
    }
  }
  for (auto candidate = later.rbegin(); candidate != later.rend(); ++candidate) {
    journal_.give_back(*candidate);
  }
  return item;
}

std::optional<WorkQueue::Item> WorkQueue::next_network() {
  std::optional<Item> item;
  std::vector<RetrainedNetwork> later;
  while (!item) {
    auto network = retraining_->next();
    if (!network) break;
    const Task task{.kind = Task::Kind::kRetrain, .genome = network->genome, .name = network->name};
    const std::string name = name_of(task);
    const int epochs = epochs_done(*network);
    if (const auto lost = given_up(name, epochs)) {
      retraining_->take(std::move(*network), -1, *lost, log_);
    } else if (may_begin(name, epochs)) {
      item = Item{task, std::move(*network)};
    } else {
      later.push_back(std::move(*network));
    }
  }
  for (auto network = later.rbegin(); network != later.rend(); ++network) {
    retraining_->give_back(std::move(*network));
  }
  return item;
}

/// Notes that a task begins; false where it must wait. One that would count as lost after another
/// death is a suspect, and one suspect is out at a time: when a whole job dies, which of its tasks
/// killed it is not known, and so the death of a job costs one task at the most.
bool WorkQueue::may_begin(const std::string& task, int progress) {
  const int attempts = attempts_.unanswered(task, progress);
  if (attempts > 0 && attempts + 1 == setup_.options.max_attempts) {
    if (!suspect_.empty()) return false;
    suspect_ = task;
  }
  attempts_.begin(task, progress);
  return true;
}

/// Why a task counts as lost, where it was begun too often and never answered.
std::optional<Report> WorkQueue::given_up(const std::string& task, int progress) {
  const int attempts = attempts_.unanswered(task, progress);
  if (attempts < setup_.options.max_attempts) return std::nullopt;
  attempts_.end(task);
  return Report{.message = fmt::format("its rank died {} times while training it", attempts),
                .status = Status::kLost};
}

/// Epochs that earlier attempts at retraining a network left in its checkpoint.
int WorkQueue::epochs_done(const RetrainedNetwork& network) const {
  try {
    const std::string checkpoint = journal_.run().checkpoint_file(network.name);
    return exists(checkpoint) ? checkpoint_epoch(checkpoint) : 0;
  } catch (const IoError&) {  // the worker will say what is wrong with it
    return 0;
  }
}

void WorkQueue::take(int rank, const std::string& task, WorkerPool::Work work,
                     const Report& report) {
  attempts_.end(task);
  if (task == suspect_) suspect_.clear();
  if (auto* candidate = std::get_if<Candidate>(&work)) {
    journal_.record({rank, std::move(*candidate), report});
  } else {
    retraining_->take(std::get<RetrainedNetwork>(std::move(work)), rank, report, log_);
  }
}

void WorkQueue::give_back(const std::string& task, WorkerPool::Work work) {
  attempts_.undo(task);
  requeue(task, std::move(work));
}

void WorkQueue::requeue(const std::string& task, WorkerPool::Work work) {
  if (task == suspect_) suspect_.clear();
  if (auto* candidate = std::get_if<Candidate>(&work)) {
    journal_.give_back(*candidate);
  } else {
    retraining_->give_back(std::get<RetrainedNetwork>(std::move(work)));
  }
}

void WorkQueue::lose(int rank, const std::string& task, WorkerPool::Work work) {
  if (std::holds_alternative<RetrainedNetwork>(work)) return requeue(task, std::move(work));
  take(rank, task, std::move(work), {.message = "its rank fell silent", .status = Status::kLost});
}

void WorkQueue::take_late(const std::string& task) {
  uint64_t id = 0;
  const auto [rest, failure] = std::from_chars(task.data(), task.data() + task.size(), id);
  if (failure == std::errc()) journal_.discard_late(id);  // else it was a network's
}

bool WorkQueue::advance() {
  if (retraining_) return false;
  if (journal_.is_over()) {
    begin_retraining();
    return true;
  }
  journal_.ask_ahead();
  return false;
}

void WorkQueue::begin_retraining() {
  journal_.end_search();
  const SearchCounts counts = journal_.strategy().counts();
  say(LogLevel::kInfo,
      fmt::format(
          "drawn again: {} candidates beyond the limits, {} seen before; {} of {} handed out "
          "had been seen before",
          counts.redrawn_limits, counts.redrawn_repeats, counts.repeats, counts.asked));
  retraining_.emplace(setup_, journal_.run(), journal_.strategy().population(), log_);
  const std::size_t before = retraining_->done().size();
  say(LogLevel::kInfo,
      fmt::format("search done after {} results; retraining {} networks from scratch{}",
                  journal_.results(), retraining_->size(),
                  before == 0 ? "" : fmt::format(", {} of them done before", before)));
}

}  // namespace renas
