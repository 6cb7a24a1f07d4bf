#include "cluster/work_queue.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "cluster/retraining.h"
#include "core/files.h"
#include "renas/error.h"
#include "renas/model.h"

namespace renas {

WorkQueue::WorkQueue(const RunSetup& setup, std::unique_ptr<SearchJournal> journal, Log log)
    : setup_(setup),
      log_(std::move(log)),
      journal_(std::move(journal)),
      run_(journal_->run()),
      attempts_(run_.attempts_file()) {}

WorkQueue::WorkQueue(const RunSetup& setup, const RunDirectory& run,
                     std::unique_ptr<NetworkQueue> networks, Log log)
    : setup_(setup),
      log_(std::move(log)),
      run_(run),
      attempts_(run_.attempts_file()),
      networks_(std::move(networks)) {}

void WorkQueue::say(LogLevel level, const std::string& text) const {
  if (log_) log_(level, text);
}

std::optional<WorkQueue::Item> WorkQueue::next(const RankCounts& ranks) {
  return networks_ ? next_network(ranks) : next_candidate();
}

std::optional<WorkQueue::Item> WorkQueue::next_candidate() {
  std::optional<Item> item;
  std::vector<Candidate> later;
  while (!item) {
    auto candidate = journal_->next();
    if (!candidate) break;
    const Task task{.kind = Task::Kind::kEvaluate,
                    .id = candidate->id,
                    .genome = to_string(setup_.space, candidate->genome),
                    .parent = candidate->parent};
    const std::string name = name_of(task);
    if (auto lost = given_up(name, 0)) {
      say(LogLevel::kWarning,
          fmt::format("candidate {} counts as lost: {}", candidate->id, lost->message));
      journal_->record({-1, std::move(*candidate), std::move(*lost)});
    } else if (may_begin(name, 0)) {
      item = Item{task, std::move(*candidate)};
    } else {
      later.push_back(std::move(*candidate));
    }
  }
  for (auto candidate = later.rbegin(); candidate != later.rend(); ++candidate) {
    journal_->give_back(*candidate);
  }
  return item;
}

std::optional<WorkQueue::Item> WorkQueue::next_network(const RankCounts& ranks) {
  std::optional<Item> item;
  std::vector<RetrainedNetwork> later;
  while (!item) {
    auto network = networks_->next();
    if (!network) break;
    const Task task{.kind = Task::Kind::kRetrain,
                    .genome = network->genome,
                    .name = network->name,
                    .seed = networks_->seed_of(*network)};
    const std::string name = name_of(task);
    const int wanted = networks_->ranks_for(*network, ranks);
    if (wanted > ranks.free) {  // and nothing overtakes it
      later.push_back(std::move(*network));
      break;
    }
    const int epochs = epochs_done(*network);
    if (const auto lost = given_up(name, epochs)) {
      networks_->take(std::move(*network), -1, *lost, log_);
    } else if (may_begin(name, epochs)) {
      item = Item{task, std::move(*network), wanted};
    } else {
      later.push_back(std::move(*network));
    }
  }
  for (auto network = later.rbegin(); network != later.rend(); ++network) {
    networks_->give_back(std::move(*network));
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
  return Report{
      .message = fmt::format("its rank died or fell silent {} times while training it", attempts),
      .status = Status::kLost};
}

/// Epochs that earlier attempts at retraining a network left in its checkpoint.
int WorkQueue::epochs_done(const RetrainedNetwork& network) const {
  try {
    const std::string checkpoint = run_.checkpoint_file(network.name);
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
    journal_->record({rank, std::move(*candidate), report});
  } else {
    networks_->take(std::get<RetrainedNetwork>(std::move(work)), rank, report, log_);
  }
}

void WorkQueue::give_back(const std::string& task, WorkerPool::Work work) {
  attempts_.undo(task);
  lose(task, std::move(work));
}

void WorkQueue::lose(const std::string& task, WorkerPool::Work work) {
  if (task == suspect_) suspect_.clear();
  if (auto* candidate = std::get_if<Candidate>(&work)) {
    journal_->give_back(*candidate);
  } else {
    networks_->give_back(std::get<RetrainedNetwork>(std::move(work)));
  }
}

void WorkQueue::take_late(const std::string& task) {
  if (!journal_) return;
  uint64_t id = 0;
  const auto [rest, failure] = std::from_chars(task.data(), task.data() + task.size(), id);
  if (failure == std::errc()) journal_->discard_late(id);  // else it was a network's
}

bool WorkQueue::advance() {
  if (networks_) return false;
  if (journal_->is_over()) {
    begin_retraining();
    return true;
  }
  journal_->ask_ahead();
  return false;
}

void WorkQueue::begin_retraining() {
  journal_->end_search();
  const SearchCounts counts = journal_->strategy().counts();
  say(LogLevel::kInfo,
      fmt::format(
          "drawn again: {} candidates beyond the limits, {} seen before; {} of {} handed out "
          "had been seen before",
          counts.redrawn_limits, counts.redrawn_repeats, counts.repeats, counts.asked));
  networks_ = std::make_unique<Retraining>(setup_, run_, journal_->strategy().finalists(), log_);
  const std::size_t before = networks_->done();
  say(LogLevel::kInfo,
      fmt::format("search done after {} results{}; retraining {} networks from scratch{}",
                  journal_->results(),
                  journal_->out_of_patience()
                      ? fmt::format(", none of the last {} better", setup_.options.patience)
                      : "",
                  networks_->size(),
                  before == 0 ? "" : fmt::format(", {} of them done before", before)));
}

void WorkQueue::commit() {
  if (journal_) journal_->commit();
}

void WorkQueue::save_snapshot(bool now) {
  if (journal_) journal_->save_snapshot(now);
}

SearchProgress WorkQueue::progress() const {
  SearchProgress p;
  if (networks_) {
    p.phase = SearchProgress::Phase::kRetrain;
    p.done = static_cast<int64_t>(networks_->done());
    p.total = static_cast<int64_t>(networks_->size());
    p.best = networks_->best();
    return p;
  }
  const auto& population = journal_->strategy().population();
  for (const Member& m : population) {
    p.best = std::max(p.best, m.fitness);
    p.mean += m.fitness / static_cast<double>(population.size());
  }
  p.done = static_cast<int64_t>(journal_->results());
  p.total = static_cast<int64_t>(journal_->total());
  if (setup_.options.time_budget > 0) {
    p.seconds_left = std::max(0.0, setup_.options.time_budget - journal_->elapsed());
  }
  return p;
}

std::string WorkQueue::description() const {
  const SearchRunOptions& o = setup_.options;
  if (!journal_) {
    return fmt::format(
        "{} cells to train, {} of them done before, {} images of D_train and {} of "
        "D_val",
        networks_->size(), networks_->done(), setup_.final.train.size(),
        setup_.final.validation.size());
  }
  return fmt::format("{}: {} members and {} children of {}, {} images of D_train and {} of D_val",
                     o.strategy.name, o.strategy.population, o.children, setup_.space.name(),
                     setup_.search.train.size(), setup_.search.validation.size());
}

}  // namespace renas
