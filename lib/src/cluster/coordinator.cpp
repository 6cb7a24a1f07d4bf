#include "cluster/coordinator.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <numeric>
#include <thread>

#include "renas/error.h"
#include "renas/model.h"

namespace renas {

namespace {

constexpr auto kIdle = std::chrono::milliseconds(2);
constexpr auto kProgressEvery = std::chrono::milliseconds(500);
constexpr auto kRateWindow = std::chrono::seconds(15);
/// How long ranks that were asked to stop may take; a step of training is far shorter.
constexpr auto kStopGrace = std::chrono::seconds(20);
/// How long after its start a run says which ranks it still misses.
constexpr double kMissingAfter = 60;
/// A coordinator that was itself suspended for so long cannot call others silent.
constexpr double kSuspended = 5;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

RunDirectory open_or_create(const SearchRunOptions& options) {
  return options.resume ? RunDirectory::open(options.folder)
                        : RunDirectory::create(options.folder, options.stored_options);
}

}  // namespace

Coordinator::Coordinator(RunSetup setup, Transport& transport, const SearchRunHooks& hooks)
    : setup_(std::move(setup)),
      transport_(transport),
      hooks_(hooks),
      strategy_(make_strategy(setup_.space, setup_.options.strategy)),
      run_(open_or_create(setup_.options)),
      lock_(run_.lock()),
      workers_(static_cast<std::size_t>(transport.ranks())) {
  know_data();
  if (setup_.options.resume) resume();
}

/// A run goes on with the pictures it began with; their file may have moved.
void Coordinator::know_data() {
  const std::string now = identity_of(setup_.options.data, setup_.search.pictures);
  const std::optional<std::string> then = run_.data();
  if (!then) return run_.mark_data(now);
  if (*then == now) return;
  throw InvalidInput(fmt::format(
      "{}: expected the data set that the run in {} was started with ({}), found another ({}). Name "
      "its file by --data if it has moved, or start a new run in another folder.",
      setup_.options.data, run_.path(), *then, now));
}

void Coordinator::log(LogLevel level, const std::string& text) const {
  if (hooks_.log) hooks_.log(level, text);
}

void Coordinator::resume() {
  run_.repair_history();
  const std::vector<HistoryEntry> history = run_.history();
  uint64_t from = 0;
  std::optional<Snapshot> snapshot;
  try {
    snapshot = run_.load_snapshot();
  } catch (const IoError& e) {
    log(LogLevel::kWarning, fmt::format("{}; replaying the whole history instead", e.what()));
  }
  if (snapshot) {
    if (snapshot->journal_lines > history.size()) {
      throw IoError(fmt::format(
          "{}: the snapshot search.h5 includes {} lines of history.jsonl, which has {}; restore the "
          "history, or remove search.h5 to replay what is there",
          run_.path(), snapshot->journal_lines, history.size()));
    }
    strategy_->load(snapshot->strategy);
    from = snapshot->journal_lines;
  }
  replay(history, from);
  told_ = history.size();
  phase_done_before_ = told_;
  if (!history.empty()) seconds_before_ = history.back().elapsed;
  search_over_ = run_.search_over() == told_;
  for (Candidate& c : strategy_->in_flight()) unfinished_.push_back(std::move(c));
  for (const HistoryEntry& e : history) {
    if (std::filesystem::exists(run_.weights_file(e.id))) weights_.insert(e.id);
    genomes_[e.id] = parse_genome(setup_.space, e.genome);
  }
  for (const Candidate& c : unfinished_) run_.remove_weights(c.id);
  remove_unneeded_weights();
  log(LogLevel::kInfo, fmt::format("resumed {}: {} results, {} candidates to be done again",
                                   run_.path(), told_, unfinished_.size()));
}

/// Tells the strategy what the history says, each time after as many asks as there were then.
void Coordinator::replay(const std::vector<HistoryEntry>& history, uint64_t from) {
  uint64_t asked = from + strategy_->in_flight().size();
  for (std::size_t i = from; i < history.size(); ++i) {
    const HistoryEntry& e = history[i];
    for (; asked < e.asked; ++asked) strategy_->ask();
    for (const Candidate& c : strategy_->in_flight()) {
      if (c.id == e.id && text_of(c.genome) != e.genome) {
        throw IoError(fmt::format(
            "{}/history.jsonl:{}: expected candidate {} to be {}, found {}; the history is not of a "
            "run with these options",
            run_.path(), i + 1, e.id, text_of(c.genome), e.genome));
      }
    }
    strategy_->tell(e.id, {e.status, e.fitness});
  }
}

void Coordinator::remove_unneeded_weights() {
  for (auto id = weights_.begin(); id != weights_.end();) {
    if (strategy_->keeps(*id)) {
      ++id;
      continue;
    }
    run_.remove_weights(*id);
    genomes_.erase(*id);
    id = weights_.erase(id);
  }
}

bool Coordinator::stop_requested() const {
  return stopping_ || (hooks_.stop != nullptr && *hooks_.stop);
}

bool Coordinator::nobody_left() const {
  return std::all_of(workers_.begin(), workers_.end(),
                     [](const Worker& w) { return w.left || w.silent; });
}

bool Coordinator::time_is_up() const {
  const double budget = setup_.options.time_budget;
  return budget > 0 && seconds_before_ + seconds_since(started_) >= budget;
}

uint64_t Coordinator::total() const {
  return static_cast<uint64_t>(setup_.options.strategy.population) +
         static_cast<uint64_t>(setup_.options.children);
}

bool Coordinator::search_is_over() const {
  return search_over_ || told_ >= total() || (time_is_up() && strategy_->in_flight().empty());
}

SearchRunResult Coordinator::run() {
  const SearchRunOptions& o = setup_.options;
  log(LogLevel::kInfo,
      fmt::format("{}: {} members and {} children of {}, {} pictures of D_train and {} of D_val, "
                  "{} rank{}",
                  o.strategy.name, o.strategy.population, o.children, setup_.space.name(),
                  setup_.search.train.size(), setup_.search.validation.size(), transport_.ranks(),
                  transport_.ranks() == 1 ? "" : "s"));
  try {
    loop();
    save_snapshot(true);
  } catch (...) {
    stop_workers();
    throw;
  }
  stop_workers();
  return result();
}

void Coordinator::loop() {
  Clock::time_point stopping_since{};
  for (;;) {
    bool idle = true;
    while (const auto message = transport_.next_from_workers()) {
      idle = false;
      handle(message->rank, decode_report(message->text));
    }
    if (!retraining_ && search_is_over()) begin_retraining();
    if (!retraining_ && setup_.options.in_order) ask_ahead();
    if (everything_done()) return;
    if (stop_requested()) {
      // Workers of other ranks may not have seen the signal; then they are told.
      if (stopping_since == Clock::time_point{}) {
        stopping_since = Clock::now();
        log(LogLevel::kInfo, "stopping: leaving unfinished children for --resume");
        if (!early_.empty()) {
          log(LogLevel::kInfo, fmt::format("{} finished ones wait for older ones: done again then",
                                           early_.size()));
        }
        for (int r = 1; r < transport_.ranks(); ++r) transport_.send_to_worker(r, encode(Task{}));
      }
      const bool busy =
          std::any_of(workers_.begin(), workers_.end(), [](const Worker& w) { return w.busy; });
      if (!busy || Clock::now() - stopping_since > kStopGrace) return;
    } else {
      for (int r = 0; r < transport_.ranks(); ++r) hand_out(r);
    }
    look_after_workers();
    save_snapshot(false);
    report_progress();
    if (idle) std::this_thread::sleep_for(kIdle);
  }
}

bool Coordinator::everything_done() const {
  return retraining_ && retrained_.size() == networks_;
}

void Coordinator::hand_out(int rank) {
  Worker& worker = workers_[static_cast<std::size_t>(rank)];
  if (!worker.ready || worker.busy || worker.silent) return;
  if (retraining_) {
    if (to_retrain_.empty()) return;
    worker.network = std::move(to_retrain_.front());
    to_retrain_.pop_front();
    const Task task{.kind = Task::Kind::kRetrain,
                    .genome = worker.network.genome,
                    .name = worker.network.name};
    worker.task = name_of(task);
    transport_.send_to_worker(rank, encode(task));
  } else if (!unfinished_.empty()) {
    worker.candidate = std::move(unfinished_.front());
    unfinished_.pop_front();
    send_candidate(rank, worker.candidate);
  } else {
    if (setup_.options.in_order) return;
    if (told_ + strategy_->in_flight().size() >= total() || time_is_up()) return;
    worker.candidate = strategy_->ask();
    send_candidate(rank, worker.candidate);
  }
  worker.busy = true;
  worker.heard = Clock::now();
}

void Coordinator::send_candidate(int rank, const Candidate& candidate) {
  Task task{.kind = Task::Kind::kEvaluate,
            .id = candidate.id,
            .genome = text_of(candidate.genome),
            .parent = candidate.parent};
  if (candidate.parent) task.parent_genome = text_of(genomes_.at(*candidate.parent));
  workers_[static_cast<std::size_t>(rank)].task = name_of(task);
  transport_.send_to_worker(rank, encode(task));
}

void Coordinator::handle(int rank, const Report& report) {
  Worker& worker = workers_[static_cast<std::size_t>(rank)];
  worker.heard = Clock::now();
  if (report.pictures > 0) pictures_.emplace_back(worker.heard, report.pictures);
  while (!pictures_.empty() && worker.heard - pictures_.front().first > kRateWindow) {
    pictures_.pop_front();
  }
  switch (report.kind) {
    case Report::Kind::kReady:
      worker.ready = true;
      worker.host = report.host;
      break;
    case Report::Kind::kProgress:
      break;
    case Report::Kind::kError:
      take_failure(rank, report);
      break;
    case Report::Kind::kDone:
      if (!worker.busy || worker.task != report.task) {
        take_late(rank, report);
        break;
      }
      if (report.stopped) {
        take_back(worker);
        if (stop_requested()) break;
        // A signal reached that rank alone: it is leaving, the others go on.
        worker.ready = false;
        worker.left = true;
        log(LogLevel::kWarning, fmt::format("rank {} on {} was stopped by a signal of its own; going "
                                            "on without it",
                                            rank, worker.host));
        stopping_ = nobody_left();
        break;
      }
      worker.busy = false;
      if (retraining_) {
        take_network(rank, report);
      } else {
        take_result({rank, worker.candidate, report});
      }
      break;
  }
}

/// What a rank had goes to the next one that is free.
void Coordinator::take_back(Worker& worker) {
  if (!worker.busy) return;
  worker.busy = false;
  if (retraining_) {
    to_retrain_.push_front(worker.network);
  } else {
    unfinished_.push_front(worker.candidate);
  }
}

/// A rank that was given up on is back, with the result of a task that went to others.
void Coordinator::take_late(int rank, const Report& report) {
  Worker& worker = workers_[static_cast<std::size_t>(rank)];
  if (worker.silent) {
    log(LogLevel::kWarning, fmt::format("rank {} on {} is back", rank, worker.host));
    worker.silent = false;
  }
  if (report.task.starts_with("retrain")) return;
  const uint64_t id = std::stoull(report.task);
  if (!strategy_->keeps(id)) run_.remove_weights(id);
}

/// A rank cannot go on; the run can while others do.
void Coordinator::take_failure(int rank, const Report& report) {
  Worker& worker = workers_[static_cast<std::size_t>(rank)];
  if (worker.busy && worker.task == report.task) take_back(worker);
  worker.ready = false;
  worker.left = true;
  if (nobody_left()) {
    if (report.mistake) throw IoError(report.message);
    throw Error(report.message);
  }
  log(LogLevel::kError, report.message + "; going on without this rank");
}

/// In order, as many candidates are out as there are ranks, working or not: what the strategy knows
/// when it is asked then depends on nothing but their number.
void Coordinator::ask_ahead() {
  const auto ranks = static_cast<std::size_t>(transport_.ranks());
  for (std::size_t out = strategy_->in_flight().size();
       out < ranks && told_ + out < total() && !time_is_up(); ++out) {
    unfinished_.push_back(strategy_->ask());
  }
}

void Coordinator::take_result(Result result) {
  if (!setup_.options.in_order) return take_candidate(result);
  const uint64_t id = result.candidate.id;
  early_.emplace(id, std::move(result));
  const auto oldest = [&] {
    const std::vector<Candidate> out = strategy_->in_flight();  // by id
    return out.empty() ? early_.end() : early_.find(out.front().id);
  };
  for (auto next = oldest(); next != early_.end(); next = oldest()) {
    take_candidate(next->second);
    early_.erase(next);
    ask_ahead();
  }
}

void Coordinator::take_candidate(const Result& result) {
  const auto& [rank, candidate, report] = result;
  HistoryEntry entry;
  entry.asked = told_ + strategy_->in_flight().size();
  const Told told = strategy_->tell(candidate.id, {report.status, report.fitness});
  entry.id = candidate.id;
  entry.parent = candidate.parent;
  entry.removed = report.status == Status::kOk && !told.joined ? candidate.id : told.removed;
  entry.genome = text_of(candidate.genome);
  entry.mutations = candidate.mutations;
  entry.status = report.status;
  entry.message = report.message;
  entry.fitness = report.fitness;
  entry.parameters = report.counts.parameters;
  entry.mult_adds = report.counts.mult_adds;
  entry.inherited = report.inherited;
  entry.seconds = report.seconds;
  entry.elapsed = seconds_before_ + seconds_since(started_);
  entry.rank = rank;
  run_.append(entry);
  ++told_;
  if (report.status == Status::kOk) {
    weights_.insert(candidate.id);
    genomes_[candidate.id] = candidate.genome;
  }
  remove_unneeded_weights();
  log(LogLevel::kDebug,
      report.status == Status::kOk
          ? fmt::format("candidate {} on rank {}: {:.2f} % {}", entry.id, rank,
                        100 * entry.fitness, entry.genome)
          : fmt::format("candidate {} on rank {}: {} ({}) {}", entry.id, rank,
                        to_string(entry.status), entry.message, entry.genome));
}

void Coordinator::begin_retraining() {
  save_snapshot(true);
  run_.mark_search_over(told_);
  retraining_ = true;
  phase_started_ = Clock::now();
  std::vector<Member> members = strategy_->population();
  if (members.empty()) {
    throw Error(fmt::format(
        "all {} candidates failed, so there is nothing to retrain; history.jsonl in {} says why",
        told_, run_.path()));
  }
  std::stable_sort(members.begin(), members.end(),
                   [](const Member& a, const Member& b) { return a.fitness > b.fitness; });
  std::vector<RetrainedNetwork> all;
  for (const Member& m : members) all.push_back({std::to_string(m.id), text_of(m.genome), 0, {}});
  const std::vector<Genome> controls = control_genomes(setup_);
  for (std::size_t i = 0; i < controls.size(); ++i) {
    all.push_back({fmt::format("{}{}", kControlPrefix, i + 1), text_of(controls[i]), 0, {}});
  }
  networks_ = all.size();
  for (RetrainedNetwork& network : all) {
    order_.push_back(network.name);
    const std::string file = run_.retrained_file(network.name);
    if (std::filesystem::exists(file)) {
      network.validation_accuracy = load_model(file).validation_accuracy;
      retrained_.push_back(network);
    } else {
      to_retrain_.push_back(network);
    }
  }
  phase_done_before_ = retrained_.size();
  const SearchCounts counts = strategy_->counts();
  log(LogLevel::kInfo,
      fmt::format("drawn again: {} candidates beyond the limits, {} seen before; {} of {} handed out "
                  "had been seen before",
                  counts.redrawn_limits, counts.redrawn_repeats, counts.repeats, counts.asked));
  log(LogLevel::kInfo,
      fmt::format("search done after {} results; retraining {} networks from scratch{}", told_,
                  networks_,
                  retrained_.empty() ? ""
                                     : fmt::format(", {} of them done before", retrained_.size())));
}

void Coordinator::take_network(int rank, const Report& report) {
  RetrainedNetwork network = workers_[static_cast<std::size_t>(rank)].network;
  network.validation_accuracy = report.fitness;
  if (report.status != Status::kOk) {
    log(LogLevel::kWarning, fmt::format("retraining of {} failed: {} ({})", network.name,
                                        to_string(report.status), report.message));
    --networks_;
    return;
  }
  log(LogLevel::kInfo, fmt::format("retrained {} on rank {}: {:.2f} % on D_val, {}", network.name,
                                   rank, 100 * report.fitness, network.genome));
  retrained_.push_back(network);
}

void Coordinator::look_after_workers() {
  const bool suspended = seconds_since(last_look_) > kSuspended;
  last_look_ = Clock::now();
  std::vector<int> missing;
  for (int r = 0; r < transport_.ranks(); ++r) {
    Worker& worker = workers_[static_cast<std::size_t>(r)];
    if (worker.host.empty() && !worker.left) missing.push_back(r);
    if (suspended) worker.heard = last_look_;
    if (!worker.busy || seconds_since(worker.heard) < setup_.options.worker_timeout) continue;
    log(LogLevel::kError,
        fmt::format("rank {} on {} has been silent for {:.0f} s; going on without it", r,
                    worker.host, seconds_since(worker.heard)));
    worker.silent = true;
    if (retraining_) {
      take_back(worker);
    } else {
      take_result({r, worker.candidate,
                   {.message = "its rank fell silent", .status = Status::kLost}});
      worker.busy = false;
    }
    if (nobody_left()) throw Error("all ranks fell silent; resume the run on healthy nodes");
  }
  if (!announced_ && (missing.empty() || seconds_since(started_) > kMissingAfter)) {
    announced_ = true;
    if (!missing.empty()) {
      log(LogLevel::kWarning,
          fmt::format("{} of {} ranks have not reported yet: {}", missing.size(),
                      transport_.ranks(), fmt::join(missing, ", ")));
    }
  }
}

void Coordinator::save_snapshot(bool now) {
  if (snapshot_lines_ == told_ ||
      (!now && seconds_since(last_snapshot_) < setup_.options.snapshot_seconds)) {
    return;
  }
  run_.save_snapshot({strategy_->save(), told_});
  snapshot_lines_ = told_;
  last_snapshot_ = Clock::now();
}

void Coordinator::report_progress() {
  const auto now = Clock::now();
  if (!hooks_.on_progress || now - last_progress_ < kProgressEvery) return;
  last_progress_ = now;

  SearchProgress p;
  int64_t pictures = 0;
  for (const auto& [when, count] : pictures_) pictures += count;
  const double window =
      std::min(std::chrono::duration<double>(kRateWindow).count(), seconds_since(started_));
  p.pictures_per_second = window > 0 ? static_cast<double>(pictures) / window : 0;

  const auto& population = strategy_->population();
  for (const Member& m : population) {
    p.best = std::max(p.best, m.fitness);
    p.mean += m.fitness / static_cast<double>(population.size());
  }
  if (retraining_) {
    p.phase = SearchProgress::Phase::kRetrain;
    p.done = static_cast<int64_t>(retrained_.size());
    p.total = static_cast<int64_t>(networks_);
    p.best = 0;
    for (const RetrainedNetwork& n : retrained_) p.best = std::max(p.best, n.validation_accuracy);
  } else {
    p.done = static_cast<int64_t>(told_);
    p.total = int64_t{setup_.options.strategy.population} + setup_.options.children;
  }
  const double elapsed = seconds_since(phase_started_);
  const double done_now = static_cast<double>(p.done - static_cast<int64_t>(phase_done_before_));
  if (done_now > 0) p.seconds_left = elapsed / done_now * static_cast<double>(p.total - p.done);
  if (!retraining_ && setup_.options.time_budget > 0) {
    const double budget = std::max(
        0.0, setup_.options.time_budget - seconds_before_ - seconds_since(started_));
    p.seconds_left = p.seconds_left ? std::min(*p.seconds_left, budget) : budget;
  }
  hooks_.on_progress(p);
}

void Coordinator::stop_workers() {
  for (int r = 0; r < transport_.ranks(); ++r) transport_.send_to_worker(r, encode(Task{}));
}

SearchRunResult Coordinator::result() {
  SearchRunResult result;
  result.finished = everything_done();
  result.networks = retrained_;
  result.silent_ranks = static_cast<int>(
      std::count_if(workers_.begin(), workers_.end(), [](const Worker& w) { return w.silent; }));
  if (!result.finished) return result;
  // In the order of the search's fitness, whichever rank was first.
  const auto place = [this](const RetrainedNetwork& n) {
    return std::find(order_.begin(), order_.end(), n.name) - order_.begin();
  };
  std::sort(result.networks.begin(), result.networks.end(),
            [&](const RetrainedNetwork& a, const RetrainedNetwork& b) {
              return place(a) < place(b);
            });
  // The winner is a member; controls only stand beside it.
  const RetrainedNetwork* winner = nullptr;
  for (const RetrainedNetwork& n : result.networks) {
    const bool control = n.name.starts_with(kControlPrefix);
    if (!control && (winner == nullptr || n.validation_accuracy > winner->validation_accuracy)) {
      winner = &n;
    }
  }
  if (winner == nullptr) {
    throw Error(fmt::format("none of the retrained networks succeeded; see {}", run_.log_file()));
  }
  result.winner = winner->name;
  return result;
}

}  // namespace renas
