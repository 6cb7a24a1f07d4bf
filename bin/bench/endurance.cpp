// renas-bench endurance: what many results cost a run, with the real strategy, journal and store.
//
// Nothing is trained. A result comes each turn, which is the worst case for the journal: one sync a
// result. Every child's weights are written and removed as in a real run.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "bench/bench.h"
#include "bench/coordinator.h"
#include "bench/unseen_data.h"
#include "cluster/memory.h"
#include "cluster/work_queue.h"
#include "renas/error.h"
#include "renas/model.h"

namespace {

using namespace renas;
namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

struct Options {
  int results = 20000;
  int ranks = 24;
  std::string folder = "endurance-bench";
  SearchRunOptions run;
};

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

struct Seconds {
  double wall = 0;
  double processor = 0;  ///< of this thread
};

/// Adds the time of its life to a sum.
class Timed {
 public:
  explicit Timed(Seconds& sum) : sum_(sum) {}
  Timed(const Timed&) = delete;
  Timed& operator=(const Timed&) = delete;
  ~Timed() {
    sum_.wall += seconds_since(start_);
    sum_.processor += bench::thread_seconds() - processor_before_;
  }

 private:
  Seconds& sum_;
  const Clock::time_point start_ = Clock::now();
  const double processor_before_ = bench::thread_seconds();
};

/// Another strategy, and the time that it takes.
class TimedStrategy final : public Strategy {
 public:
  TimedStrategy(std::unique_ptr<Strategy> strategy, Seconds& seconds)
      : strategy_(std::move(strategy)), seconds_(seconds) {}

  const SearchSpace& space() const override { return strategy_->space(); }
  Candidate ask() override {
    const Timed timed(seconds_);
    return strategy_->ask();
  }
  bool waits() const override { return strategy_->waits(); }
  Told tell(uint64_t id, const Outcome& outcome) override {
    const Timed timed(seconds_);
    return strategy_->tell(id, outcome);
  }
  const std::vector<Member>& population() const override { return strategy_->population(); }
  std::vector<Member> finalists() const override { return strategy_->finalists(); }
  std::vector<Candidate> in_flight() const override { return strategy_->in_flight(); }
  bool keeps(uint64_t id) const override { return strategy_->keeps(id); }
  std::optional<Member> best() const override { return strategy_->best(); }
  SearchCounts counts() const override { return strategy_->counts(); }
  State save() const override { return strategy_->save(); }
  void load(const State& state) override { strategy_->load(state); }

 private:
  std::unique_ptr<Strategy> strategy_;
  Seconds& seconds_;
};

/// Seconds since the last row of the table.
struct Spent {
  Seconds strategy;
  Seconds journal;  ///< the strategy's included
  Seconds snapshot;
  double longest_snapshot = 0;
};

/// What a run's folder holds.
struct Folder {
  explicit Folder(const std::string& path) {
    for (const auto& entry : fs::recursive_directory_iterator(path)) {
      files += entry.is_regular_file() ? 1 : 0;
    }
    const auto kib = [&path](const char* name) {
      std::error_code none;
      const auto bytes = fs::file_size(path + "/" + name, none);
      return none ? 0.0 : static_cast<double>(bytes) / 1024;
    };
    history = kib("history.jsonl");
    snapshot = kib("search.h5");
    attempts = kib("attempts.jsonl");
  }
  int files = 0;
  double history = 0, snapshot = 0, attempts = 0;  ///< KiB
};

class Endurance {
 public:
  explicit Endurance(const Options& options) : options_(options), run_(options.run) {
    run_.folder = options.folder + "/run";
    run_.data = options.folder + "/data.h5";
    run_.child.network.cells = 1;
    run_.child.network.filters = 2;
    run_.children = 100000000;
    run_.make_strategy = [this](const SearchSpace& space, const StrategyOptions& o) {
      return std::make_unique<TimedStrategy>(make_strategy(space, o), spent_.strategy);
    };
    write_unseen_data(run_.data);
    setup_ = std::make_unique<RunSetup>(make_setup(run_));
    weights_.weights["head/linear/weight"] = Tensor{{2, 2, 1, 1}, {1, 2, 3, 4}};
    open();
  }

  void go() {
    fmt::print("{:>8} {:>9} {:>5} {:>6} {:>12} {:>10} {:>10} {:>10} {:>10} {:>12} {:>9}\n",
               "results", "memory", "open", "files", "B a result", "search.h5", "attempts",
               "ask+tell", "journal", "snapshots", "longest");
    const int step = std::max(1, options_.results / 10);
    while (done_ < options_.results) {
      const double history = Folder(run_.folder).history;
      spent_ = {};
      for (int i = 0; i < step; ++i) take_one();
      print_row(step, history);
    }
    const double n = done_;
    fmt::print(
        "of processor time a result: asking and telling {:.2f} ms, journal {:.3f} ms, snapshots "
        "{:.3f} ms\n",
        1e3 * total_.strategy / n, 1e3 * total_.journal / n, 1e3 * total_.snapshot / n);
    resume();
  }

 private:
  void open() {
    queue_ = std::make_unique<WorkQueue>(
        *setup_, std::make_unique<SearchJournal>(*setup_, options_.ranks, nullptr), nullptr);
  }

  void take_one() {
    {
      const Timed timed(spent_.journal);
      while (static_cast<int>(out_.size()) < options_.ranks) {
        auto item = queue_->next();
        if (!item) break;
        out_.push_back(std::move(*item));
      }
    }
    std::swap(out_[draw_() % out_.size()], out_.back());
    WorkQueue::Item item = std::move(out_.back());
    out_.pop_back();
    Report report{.kind = Report::Kind::kDone, .task = name_of(item.task)};
    report.fitness = bench::made_up_fitness(item.task.genome);
    report.counts = {1000000, 100000000};
    report.inherited = item.task.parent ? 0.9 : 0;
    weights_.genome = item.task.genome;
    save_member(RunDirectory::open(run_.folder).weights_file(item.task.id), item.task.id, weights_);
    {
      const Timed timed(spent_.journal);
      queue_->take(0, report.task, std::move(item.work), report);
      queue_->commit();
    }
    const double before = spent_.snapshot.wall;
    {
      const Timed timed(spent_.snapshot);
      queue_->save_snapshot(false);
    }
    spent_.longest_snapshot = std::max(spent_.longest_snapshot, spent_.snapshot.wall - before);
    ++done_;
  }

  void print_row(int results, double history_before) {
    const Folder folder(run_.folder);
    const auto descriptors = std::distance(fs::directory_iterator("/proc/self/fd"), {});
    const double n = results;
    fmt::print(
        "{:>8} {:>5.0f} MiB {:>5} {:>6} {:>12.0f} {:>6.0f} KiB {:>6.0f} KiB {:>7.2f} ms {:>7.2f} "
        "ms "
        "{:>9.3f} ms {:>6.1f} ms\n",
        done_, static_cast<double>(resident_memory()) / (1 << 20), descriptors, folder.files,
        (folder.history - history_before) * 1024 / n, folder.snapshot, folder.attempts,
        1e3 * spent_.strategy.processor / n, 1e3 * (spent_.journal.wall - spent_.strategy.wall) / n,
        1e3 * spent_.snapshot.wall / n, 1e3 * spent_.longest_snapshot);
    total_.strategy += spent_.strategy.processor;
    total_.journal += spent_.journal.processor - spent_.strategy.processor;
    total_.snapshot += spent_.snapshot.processor;
    std::fflush(stdout);
  }

  void resume() {
    queue_.reset();
    run_.resume = true;
    setup_ = std::make_unique<RunSetup>(make_setup(run_));
    spent_ = {};
    Seconds resuming;
    {
      const Timed timed(resuming);
      open();
    }
    fmt::print(
        "resumed in {:.2f} s ({:.2f} s of processor), of which asking and telling again took "
        "{:.2f} s\n",
        resuming.wall, resuming.processor, spent_.strategy.wall);
  }

  const Options& options_;
  SearchRunOptions run_;
  Spent spent_;
  std::unique_ptr<RunSetup> setup_;
  std::unique_ptr<WorkQueue> queue_;
  std::vector<WorkQueue::Item> out_;
  std::mt19937_64 draw_{1};
  MemberWeights weights_;
  int done_ = 0;
  struct {
    double strategy = 0, journal = 0, snapshot = 0;
  } total_;  ///< processor seconds
};

}  // namespace

void add_endurance_bench(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* c = app.add_subcommand("endurance",
                                   "What many results cost a run: memory, files, time of strategy, "
                                   "journal and snapshots, resuming");
  c->option_defaults()->always_capture_default();
  c->add_option("--results", options->results, "How many")->check(CLI::Range(10, 100000000));
  c->add_option("--ranks", options->ranks, "Candidates out at once")->check(CLI::Range(1, 100000));
  bench::add_run_options(*c, options->folder, options->run);
  c->add_option("--blocks", options->run.blocks, "As of renas-search")->check(CLI::Range(1, 10));
  c->callback([options] {
    if (fs::exists(options->folder)) {
      throw InvalidInput(options->folder + ": exists; name a folder to make");
    }
    fs::create_directories(options->folder);
    Endurance(*options).go();
    fs::remove_all(options->folder);
  });
}
