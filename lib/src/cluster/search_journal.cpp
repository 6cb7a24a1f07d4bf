#include "cluster/search_journal.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "cluster/asked_candidate.h"
#include "cluster/replay_history.h"
#include "cluster/retry.h"
#include "core/files.h"
#include "renas/error.h"

namespace renas {

namespace {

/// How long replaying what is behind the last snapshot may take.
constexpr auto kMostToReplay = std::chrono::seconds(2);

/// Looks before it locks, so that a mistaken name leaves nothing behind in a folder of other
/// things.
std::unique_ptr<RunLock> lock_run(const SearchRunOptions& options) {
  if (options.resume) {
    RunDirectory::open(options.folder);
  } else {
    RunDirectory::check_unused(options.folder);
  }
  return std::make_unique<RunLock>(options.folder);
}

RunDirectory open_or_create(const RunSetup& setup) {
  const SearchRunOptions& options = setup.options;
  return options.resume
             ? RunDirectory::open(options.folder)
             : RunDirectory::create(options.folder, options.stored_options, inputs_of(setup));
}

}  // namespace

SearchJournal::SearchJournal(const RunSetup& setup, int ranks, Log log)
    : options_(setup.options),
      space_(setup.space),
      data_(setup.data_identity),
      ranks_(ranks),
      log_(std::move(log)),
      strategy_(options_.make_strategy ? options_.make_strategy(space_, options_.strategy)
                                       : renas::make_strategy(space_, options_.strategy)),
      lock_(lock_run(options_)),
      run_(open_or_create(setup)) {
  if (!lock_->guards()) {
    say(LogLevel::kWarning,
        fmt::format("the file system of {} has no locks: see to it that no other "
                    "job works on this run",
                    run_.path()));
  }
  check_data();
  if (options_.resume) {
    check_inputs(inputs_of(setup));
    resume();
  }
}

void SearchJournal::say(LogLevel level, const std::string& text) const {
  if (log_) log_(level, text);
}

void SearchJournal::patiently(const std::function<void()>& work) const {
  retrying(work, options_.io_patience, [this](const IoError& e) {
    say(LogLevel::kWarning, fmt::format("{}; trying again", e.what()));
  });
}

/// A run goes on with the images it began with; their file may have moved.
void SearchJournal::check_data() {
  const std::optional<std::string> then = run_.data();
  if (!then) return run_.mark_data(data_);
  if (*then == data_) return;
  throw InvalidInput(
      fmt::format("{}: expected the data set that the run in {} was started with ({}), found "
                  "another ({}). Name "
                  "its file if it has moved, or start a new run in another folder.",
                  options_.data, run_.path(), *then, data_));
}

/// A run goes on with the space and the initial genomes that it began with.
void SearchJournal::check_inputs(const RunInputs& inputs) const {
  for (const char* name : {"space", "initial_genomes"}) {
    const auto given = inputs.find(name);
    const std::string now = given == inputs.end() ? "" : given->second;
    const std::string then = run_.input(name).value_or("");
    if (now == then) continue;
    throw InvalidInput(fmt::format(
        "{0}/{1}: the run was started with\n{2}found now\n{3}Go on with "
        "what it was started with, or start a new run in another folder.",
        run_.path(), name, then.empty() ? "none\n" : then, now.empty() ? "none\n" : now));
  }
}

/// What is half-way in retraining begins again; what is done cannot be had under other options.
void SearchJournal::replace_options() {
  if (options_.retrains_alike) return run_.replace_options(options_.stored_options);
  std::error_code failure;
  std::vector<std::string> checkpoints;
  const std::filesystem::path folder = run_.path() + "/retrain";
  for (std::filesystem::directory_iterator at(folder, failure), end; !failure && at != end;
       at.increment(failure)) {
    const std::string path = at->path().string();
    if (!path.ends_with(".checkpoint.h5")) {
      throw InvalidInput(
          fmt::format("{}: networks were retrained with the options so far; move {} away to "
                      "retrain all of them "
                      "with others",
                      run_.path(), folder.string()));
    }
    checkpoints.push_back(path);
  }
  for (const std::string& path : checkpoints) remove_file(path);
  run_.remove_result();
  run_.replace_options(options_.stored_options);
}

void SearchJournal::resume() {
  run_.prepare_to_resume();
  History history = run_.read_history();
  take_stock(history.entries);
  const std::optional<SearchEnd> end = run_.search_over();
  const bool more = end && has_more_children(*end);
  if (!options_.stored_options.empty()) replace_options();
  for (const std::string& repair : history.repairs) {
    say(LogLevel::kWarning, fmt::format("{}/history.jsonl: {}", run_.path(), repair));
  }
  const uint64_t from = load_snapshot(history);
  told_ = usable_lines(history, from);
  run_.repair_history(told_);
  std::erase_if(history.entries, [this](const HistoryEntry& e) { return e.line >= told_; });
  take_stock(history.entries);
  replay(history.entries, from);
  ended_before_ = end && end->lines == told_ && !more;
  if (more) run_.remove_search_over();
  if (!ended_before_) run_.remove_result();  // of fewer children, or a history that lost its end
  for (Candidate& c : strategy_->in_flight()) unfinished_.push_back(std::move(c));
  out_ = unfinished_.size();
  for (const Candidate& c : unfinished_) {
    if (c.parent) ++heirs_[*c.parent];
  }
  find_weights();
  say(LogLevel::kInfo, fmt::format("resumed {}: {} results, {} candidates to be done again",
                                   run_.path(), told_, unfinished_.size()));
}

/// Whether a search that ended may go on, since it has more children now. Throws InvalidInput where
/// it did not end by their number.
bool SearchJournal::has_more_children(const SearchEnd& end) const {
  // Runs of earlier versions do not say what they could have had.
  const uint64_t before = end.budget > 0             ? end.budget
                          : options_.time_budget > 0 ? total()
                                                     : end.lines;
  if (before >= total()) return false;
  if (end.lines >= before && !asks_no_more()) return true;
  throw InvalidInput(fmt::format(
      "{}: the search has ended by its {} after {} of {} results, so more children change nothing",
      run_.path(), out_of_patience_ ? "patience" : "time budget", end.lines, before));
}

/// What earlier sessions spent, of time and of patience.
void SearchJournal::take_stock(const std::vector<HistoryEntry>& history) {
  seconds_before_ = history.empty() ? 0 : history.back().elapsed;
  best_fitness_ = -1;
  since_best_ = 0;
  out_of_patience_ = false;
  for (const HistoryEntry& e : history) note_improvement(e);
}

/// Counts children in a row that are no better than the best before them.
void SearchJournal::note_improvement(const HistoryEntry& e) {
  const bool better = e.status == Status::kOk && e.fitness > best_fitness_;
  if (better) best_fitness_ = e.fitness;
  if (e.line < static_cast<uint64_t>(options_.strategy.population)) return;
  since_best_ = better ? 0 : since_best_ + 1;
  if (options_.patience > 0 && since_best_ >= options_.patience) out_of_patience_ = true;
}

/// Loads the last snapshot into the strategy. Returns how many lines it includes; 0: none can be
/// used.
uint64_t SearchJournal::load_snapshot(const History& history) {
  std::optional<Snapshot> snapshot;
  try {
    std::string problem;
    snapshot = run_.load_snapshot(&problem);
    if (!snapshot) return 0;
    if (!problem.empty()) {
      say(LogLevel::kWarning, fmt::format("{}; going on from the snapshot before it", problem));
    }
    if (snapshot->journal_lines <= history.lines) {
      strategy_->load(snapshot->strategy);
      return snapshot->journal_lines;
    }
  } catch (const IoError& e) {
    say(LogLevel::kWarning, fmt::format("{}; replaying the whole history instead", e.what()));
    return 0;
  } catch (const InvalidInput& e) {
    say(LogLevel::kWarning, fmt::format("{}/search.h5: {}; replaying the whole history instead",
                                        run_.path(), e.what()));
    return 0;
  }
  throw IoError(fmt::format(
      "{}: the snapshot includes {} lines of history.jsonl, which has {}; restore the history, or "
      "remove search.h5 and search.previous.h5 to replay what is there",
      run_.path(), snapshot->journal_lines, history.lines));
}

/// How many lines of the history the run goes on from.
uint64_t SearchJournal::usable_lines(const History& history, uint64_t snapshot_lines) const {
  const std::string file = run_.path() + "/history.jsonl";
  for (const uint64_t line : history.missing) {
    if (line < snapshot_lines) {
      say(LogLevel::kWarning,
          fmt::format("{}:{}: the line is lost, or damaged beyond repair; search.h5 includes its "
                      "result, so the search goes on as if it were there",
                      file, line + 1));
      continue;
    }
    if (snapshot_lines == 0) {
      throw IoError(fmt::format(
          "{}:{}: the line is lost, or damaged beyond repair, and there is no snapshot that "
          "includes "
          "its result. Restore the file from a copy; or keep the first {} lines of it, and the run "
          "goes on from there",
          file, line + 1, line));
    }
    say(LogLevel::kWarning,
        fmt::format(
            "{}:{}: the line is lost, or damaged beyond repair; the {} results from there on "
            "are done again. What was there stays in {}.damaged",
            file, line + 1, history.lines - line, file));
    return line;
  }
  return history.lines;
}

/// Tells the strategy what the history says, each time after as many asks as there were then.
void SearchJournal::replay(const std::vector<HistoryEntry>& history, uint64_t from) {
  const Clock::time_point start = Clock::now();
  uint64_t line = from;
  try {
    const auto adopted =
        replay_history(*strategy_, history, from, options_.strategy.population, line);
    if (adopted) {
      say(LogLevel::kWarning,
          fmt::format("{}/history.jsonl:{}: here the strategy decides otherwise than it did, as it "
                      "may where this processor is of another kind than the run's so far; going on "
                      "from what it decided then",
                      run_.path(), *adopted + 1));
    }
  } catch (const InvalidInput& problem) {
    throw IoError(
        fmt::format("{}/history.jsonl:{}: {}; the history is not of a run with these options",
                    run_.path(), line + 1, problem.what()));
  }
  to_replay_ += Clock::now() - start;
}

void SearchJournal::find_weights() {
  for (const Candidate& c : unfinished_) run_.remove_weights(c.id);
  std::error_code failure;
  const std::filesystem::path folder = run_.path() + "/weights";
  for (std::filesystem::directory_iterator at(folder, failure), end; !failure && at != end;
       at.increment(failure)) {
    const std::string name = at->path().stem().string();
    uint64_t id = 0;
    const auto [rest, wrong] = std::from_chars(name.data(), name.data() + name.size(), id);
    if (wrong == std::errc() && *rest == '\0') weights_.insert(id);
  }
  remove_unneeded_weights();
}

void SearchJournal::remove_unneeded_weights() {
  std::erase_if(weights_, [this](uint64_t id) {
    if (is_needed(id)) return false;
    run_.remove_weights(id);
    return true;
  });
}

bool SearchJournal::is_needed(uint64_t id) const {
  return heirs_.contains(id) || strategy_->keeps(id);
}

void SearchJournal::discard_late(uint64_t id) {
  // Of a candidate that is out again the weights are those that its next rank writes too.
  const std::vector<Candidate> out = strategy_->in_flight();
  const bool is_out =
      std::any_of(out.begin(), out.end(), [id](const Candidate& c) { return c.id == id; });
  if (!is_out && !strategy_->keeps(id)) run_.remove_weights(id);
}

double SearchJournal::elapsed() const {
  return seconds_before_ + std::chrono::duration<double>(Clock::now() - started_).count();
}

bool SearchJournal::time_is_up() const {
  return options_.time_budget > 0 && elapsed() >= options_.time_budget;
}

uint64_t SearchJournal::total() const {
  return static_cast<uint64_t>(options_.strategy.population) +
         static_cast<uint64_t>(options_.children);
}

bool SearchJournal::waits() const { return options_.wait_for_parents && strategy_->waits(); }

bool SearchJournal::asks_no_more() const { return time_is_up() || out_of_patience_; }

bool SearchJournal::is_over() const {
  return ended_before_ || told_ >= total() || (asks_no_more() && out_ == 0);
}

Candidate SearchJournal::ask() {
  const Clock::time_point start = Clock::now();
  Candidate candidate = strategy_->ask();
  to_replay_ += Clock::now() - start;
  ++out_;
  if (candidate.parent) ++heirs_[*candidate.parent];
  return candidate;
}

std::optional<Candidate> SearchJournal::next() {
  commit();
  if (!unfinished_.empty()) {
    Candidate candidate = std::move(unfinished_.front());
    unfinished_.pop_front();
    return candidate;
  }
  if (options_.in_order) return std::nullopt;  // ask_ahead() asks
  if (told_ + out_ >= total() || asks_no_more() || waits()) return std::nullopt;
  return ask();
}

void SearchJournal::ask_ahead() {
  if (!options_.in_order) return;
  while (out_ < static_cast<uint64_t>(ranks_) && told_ + out_ < total() && !asks_no_more() &&
         !waits()) {
    unfinished_.push_back(ask());
  }
}

void SearchJournal::record(CandidateResult result) {
  if (!options_.in_order) return tell(result);
  const uint64_t id = result.candidate.id;
  early_.emplace(id, std::move(result));
  const auto oldest = [&] {
    const std::vector<Candidate> out = strategy_->in_flight();  // by id
    return out.empty() ? early_.end() : early_.find(out.front().id);
  };
  for (auto next = oldest(); next != early_.end(); next = oldest()) {
    tell(next->second);
    early_.erase(next);
    ask_ahead();
  }
}

void SearchJournal::tell(const CandidateResult& result) {
  const auto& [rank, candidate, report] = result;
  HistoryEntry entry;
  entry.line = told_;
  entry.asked = told_ + out_;
  const Clock::time_point start = Clock::now();
  const Told told =
      strategy_->tell(candidate.id, {report.status, report.fitness, report.inherited});
  to_replay_ += Clock::now() - start;
  --out_;
  if (candidate.parent) {
    const auto heirs = heirs_.find(*candidate.parent);
    if (--heirs->second == 0) heirs_.erase(heirs);
  }
  entry.id = candidate.id;
  entry.parent = candidate.parent;
  entry.removed = removed_by(candidate.id, report.status, told);
  entry.genome = text_of(candidate.genome);
  entry.mutations = candidate.mutations;
  entry.status = report.status;
  entry.message = report.message;
  entry.fitness = report.fitness;
  entry.parameters = report.counts.parameters;
  entry.mult_adds = report.counts.mult_adds;
  entry.inherited = report.inherited;
  entry.seconds = report.seconds;
  entry.elapsed = elapsed();
  entry.rank = rank;
  recorded_.push_back(entry);
  ++told_;
  note_improvement(entry);
  weights_.insert(candidate.id);  // a rank that was given up on may have written some
  if (report.status == Status::kOk && !report.message.empty()) {
    say(LogLevel::kWarning, fmt::format("candidate {}: {}", entry.id, report.message));
  }
  say(LogLevel::kDebug, report.status == Status::kOk
                            ? fmt::format("candidate {} on rank {}: {:.2f} % {}", entry.id, rank,
                                          100 * entry.fitness, entry.genome)
                            : fmt::format("candidate {} on rank {}: {} ({}) {}", entry.id, rank,
                                          to_string(entry.status), entry.message, entry.genome));
}

void SearchJournal::commit() {
  if (recorded_.empty()) return;
  patiently([&] { run_.append(recorded_); });
  const std::vector<HistoryEntry> written = std::exchange(recorded_, {});
  remove_unneeded_weights();
  if (written.back().status != Status::kOk) check_that_some_succeed(written.back());
}

/// Ends a search that cannot succeed before its whole budget is spent. Throws InvalidInput.
void SearchJournal::check_that_some_succeed(const HistoryEntry& last) const {
  constexpr uint64_t kLeast = 20;
  const uint64_t most = std::max(kLeast, static_cast<uint64_t>(options_.strategy.population));
  const SearchCounts counts = strategy_->counts();
  if (counts.succeeded > 0 || counts.failed < most) return;
  throw InvalidInput(
      fmt::format("none of the first {} candidates could be trained; the last one: {} ({}). The "
                  "learning rate, the "
                  "images or the size of the networks do not fit; start a new run with others",
                  counts.failed, to_string(last.status), last.message));
}

void SearchJournal::save_snapshot(bool now) {
  commit();
  const double age = std::chrono::duration<double>(Clock::now() - last_snapshot_).count();
  const bool due = now || age >= options_.snapshot_seconds || to_replay_ >= kMostToReplay;
  if (snapshot_lines_ == told_ || !due) return;
  patiently([&] { run_.save_snapshot({strategy_->save(), told_}); });
  snapshot_lines_ = told_;
  last_snapshot_ = Clock::now();
  to_replay_ = {};
}

void SearchJournal::end_search() {
  save_snapshot(true);
  patiently([&] { run_.mark_search_over({told_, total()}); });
}

}  // namespace renas
