// renas-bench coordinator: the real coordinator, strategy, journal and store, with simulated ranks.
//
// The ranks train nothing. What they would take is drawn (log-normal, so a few children take
// several times as long as most) and passes on the clock; messages are packed and unpacked as over
// MPI.
#include "bench/coordinator.h"

#include <fmt/format.h>
#include <time.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <queue>
#include <random>
#include <string>
#include <vector>

#include "bench/bench.h"
#include "bench/unseen_data.h"
#include "cli/ranks.h"
#include "cluster/coordinator.h"
#include "renas/error.h"

namespace {

using namespace renas;

using namespace renas::bench;
using Options = CoordinatorOptions;

class SimulatedRanks final : public Transport {
 public:
  SimulatedRanks(const Options& options, int ranks)
      : options_(options),
        work_(static_cast<std::size_t>(ranks)),
        since_(work_.size()),
        draw_(options.run.strategy.seed) {}

  int rank() const override { return 0; }
  int ranks() const override { return static_cast<int>(work_.size()); }
  void send_to_coordinator(const std::string&) override {}
  std::optional<std::string> next_from_coordinator() override { return std::nullopt; }

  void begin(const std::string& data) {
    for (int r = 0; r < ranks(); ++r) {
      say(r, {.kind = Report::Kind::kReady, .host = "simulated", .data = data});
    }
  }

  void send_to_worker(int rank, const std::string& text) override {
    const Task task = decode_task(text);
    if (task.kind == Task::Kind::kStop) {
      if (!task_of(rank).genome.empty()) {
        say(rank, {.kind = Report::Kind::kDone,
                   .task = name_of(task_of(rank)),
                   .serial = task_of(rank).serial,
                   .stopped = true});
        task_of(rank) = {};
      }
      if (rank != 0) say(rank, {.kind = Report::Kind::kBye});
      return;
    }
    if (task.kind != Task::Kind::kEvaluate) return;
    const double now = clock();
    const bool first = since_[index(rank)] == 0;
    if (first) ++begun_;
    if (measuring_) {
      measured.longest_wait = std::max(measured.longest_wait, now - since_[index(rank)]);
    }
    task_of(rank) = task;
    since_[index(rank)] = now;
    // At first ranks are somewhere in the middle of a child, as they are later.
    const double share = first ? std::uniform_real_distribution<double>()(draw_) : 1;
    const double sigma = options_.spread;
    std::lognormal_distribution<double> seconds(std::log(options_.child) - sigma * sigma / 2,
                                                sigma);
    due_.push({now + share * seconds(draw_), rank});
    if (begun_ == ranks() && !measuring_) start_measuring(now);
  }

  std::optional<Message> next_from_workers() override {
    const double now = clock();
    if (measuring_ && now - measured_from_ > options_.seconds) finish_measuring(now);
    if (said_.empty()) report_progress(now);
    if (said_.empty() && !due_.empty() && due_.top().first <= now) finish_child(now);
    if (said_.empty()) return std::nullopt;
    Message message = std::move(said_.front());
    said_.pop_front();
    return message;
  }

  std::atomic<bool> stop{false};
  Measured measured;

 private:
  using Due = std::pair<double, int>;  // when, by which rank

  static std::size_t index(int rank) { return static_cast<std::size_t>(rank); }
  Task& task_of(int rank) { return work_[index(rank)]; }
  double clock() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count();
  }
  void say(int rank, const Report& report) { said_.push_back({rank, encode(report)}); }

  void start_measuring(double now) {
    measuring_ = true;
    measured.start_seconds = measured_from_ = now;
    processor_before_ = thread_seconds();
  }

  void finish_measuring(double now) {
    measuring_ = false;
    measured.seconds = now - measured_from_;
    measured.processor = thread_seconds() - processor_before_;
    for (int r = 0; r < ranks(); ++r) {
      if (!task_of(r).genome.empty()) {
        measured.busy += now - std::max(measured_from_, since_[index(r)]);
      }
    }
    begun_ = -1;
    due_ = {};
    stop = true;
  }

  /// Busy ranks report once a second, or all together a thousand times a second (worker.cpp).
  void report_progress(double now) {
    const double rate = std::min(1000.0, static_cast<double>(ranks()));
    if (stop || (now - last_progress_) * rate < 1) return;
    last_progress_ = std::max(last_progress_ + 1 / rate, now - 1);
    next_to_report_ = (next_to_report_ + 1) % ranks();
    const Task& task = task_of(next_to_report_);
    if (task.genome.empty()) return;
    say(next_to_report_, {.kind = Report::Kind::kProgress,
                          .images = 1000,
                          .task = name_of(task),
                          .serial = task.serial});
  }

  void finish_child(double now) {
    const auto [when, rank] = due_.top();
    due_.pop();
    Report report{.kind = Report::Kind::kDone,
                  .host = "simulated",
                  .images = 500,
                  .task = name_of(task_of(rank)),
                  .serial = task_of(rank).serial};
    report.fitness = made_up_fitness(task_of(rank).genome);
    report.counts = {1000000, 100000000};
    report.seconds = when - since_[index(rank)];
    // A rank is idle from when it is done, whether the coordinator has the time to hear of it or
    // not.
    if (measuring_) {
      ++measured.results;
      measured.busy += std::max(0.0, when - std::max(measured_from_, since_[index(rank)]));
    }
    since_[index(rank)] = std::min(when, now);
    task_of(rank) = {};
    say(rank, report);
  }

  const Options& options_;
  std::vector<Task> work_;     ///< by rank; without a genome: none
  std::vector<double> since_;  ///< when each rank got its task, or was done with it
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
  std::deque<Message> said_;
  std::mt19937_64 draw_;
  const std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  int begun_ = 0;
  bool measuring_ = false;
  double measured_from_ = 0;
  double processor_before_ = 0;
  double last_progress_ = 0;
  int next_to_report_ = 0;
};

SearchRunOptions run_options(const Options& options, int ranks) {
  SearchRunOptions run = options.run;
  run.folder = fmt::format("{}/{}", options.folder, ranks);
  run.data = options.folder + "/data.h5";
  run.child.network.cells = 1;
  run.child.network.filters = 2;
  run.children = 100000000;
  run.stop_grace = 60;
  std::filesystem::remove_all(run.folder);
  return run;
}

Measured measure(const Options& options, int ranks) {
  const SearchRunOptions run = run_options(options, ranks);
  const RunSetup setup = make_setup(run);
  SimulatedRanks simulated(options, ranks);
  SearchRunHooks hooks;
  hooks.stop = &simulated.stop;
  WorkQueue queue(setup, std::make_unique<SearchJournal>(setup, ranks, nullptr), nullptr);
  Coordinator coordinator(setup, queue, simulated, hooks);
  simulated.begin(setup.data_identity);
  coordinator.run();
  std::filesystem::remove_all(run.folder);
  return simulated.measured;
}

void print_row(const Options& options, const std::string& ranks, int count, const Measured& m) {
  const double service = m.processor / std::max(1, m.results);
  fmt::print("{:>10} {:>9.1f} {:>10.1f} {:>12.3f} {:>11.1f}% {:>11.2f}% {:>12.3f} s {:>13.0f}\n",
             ranks, m.start_seconds, m.results / m.seconds, 1e3 * service,
             100 * m.processor / m.seconds, 100 * m.busy / (m.seconds * count), m.longest_wait,
             options.child / service);
  std::fflush(stdout);
}

void run(const Options& options) {
  std::filesystem::create_directories(options.folder);
  write_unseen_data(options.folder + "/data.h5");
  fmt::print(
      "children of {:g} s (log-normal, sigma {:g}), strategy {}, population {}; {:g} s each\n",
      options.child, options.spread, options.run.strategy.name, options.run.strategy.population,
      options.seconds);
  fmt::print("{:>10} {:>9} {:>10} {:>12} {:>12} {:>12} {:>14} {:>13}\n", "ranks", "start, s",
             "results/s", "service, ms", "coordinator", "utilisation", "longest wait",
             "full at ranks");
  for (const int ranks : options.ranks) {
    print_row(options, std::to_string(ranks), ranks, measure(options, ranks));
  }
}

/// Simulated ranks, and as many real ones.
void run_real(Options options) {
  int argc = 0;
  char** argv = nullptr;
  const cli::Ranks ranks(argc, argv);
  const bool exists = ranks.rank() == 0 && std::filesystem::exists(options.folder);
  if (ranks.worst(exists ? 1 : 0) != 0) {
    if (exists) throw InvalidInput(options.folder + ": exists; name a folder to make");
    return;
  }
  const std::unique_ptr<Transport> transport = ranks.make_transport();
  if (ranks.rank() != 0) return sleep_as_worker(*transport, options);
  options.ranks = {ranks.ranks()};
  run(options);
  const Measured real =
      measure_real_ranks(options, run_options(options, ranks.ranks()), *transport);
  print_row(options, fmt::format("real {}", ranks.ranks()), ranks.ranks(), real);
  std::filesystem::remove_all(options.folder);
}

}  // namespace

void renas::bench::add_run_options(CLI::App& app, std::string& folder, SearchRunOptions& run) {
  app.add_option("--folder", folder,
                 "A folder to make, on the file system to measure; removed in the end");
  app.add_option("--strategy", run.strategy.name, "As of renas-search")
      ->check(CLI::IsMember(strategy_names()));
  app.add_option("--population", run.strategy.population, "As of renas-search")
      ->check(CLI::Range(2, 1000000));
  app.add_option("--snapshot-seconds", run.snapshot_seconds, "As of renas-search")
      ->check(CLI::NonNegativeNumber);
}

double renas::bench::thread_seconds() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

double renas::bench::made_up_fitness(const std::string& genome) {
  return static_cast<double>(std::hash<std::string>{}(genome) % 10000) / 10000;
}

void add_coordinator_bench(CLI::App& app) {
  auto options = std::make_shared<Options>();
  options->run.strategy.population = 100;
  CLI::App* c = app.add_subcommand("coordinator",
                                   "Drives the real coordinator with simulated ranks, on the real "
                                   "clock: how busy ranks are kept");
  c->option_defaults()->always_capture_default();
  c->add_option("--ranks", options->ranks, "Numbers of simulated ranks")
      ->check(CLI::Range(1, 1000000));
  c->add_flag("--real", options->real,
              "Under mpirun: as many simulated ranks as there are real ones, and then these, which "
              "sleep where they would train");
  c->add_option("--child", options->child, "Seconds that a child takes in the mean")
      ->check(CLI::PositiveNumber);
  c->add_option("--spread", options->spread, "Sigma of the log-normal distribution of these")
      ->check(CLI::NonNegativeNumber);
  c->add_option("--seconds", options->seconds, "Seconds to measure, once all ranks have work")
      ->check(CLI::PositiveNumber);
  add_run_options(*c, options->folder, options->run);
  c->add_option("--seed", options->run.strategy.seed, "As of renas-search");
  c->callback([options] {
    if (options->real) return run_real(*options);
    if (std::filesystem::exists(options->folder)) {
      throw InvalidInput(options->folder + ": exists; name a folder to make");
    }
    run(*options);
    std::filesystem::remove_all(options->folder);
  });
}
