// The real coordinator and real ranks over MPI, which sleep where they would train.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <optional>
#include <random>
#include <thread>
#include <vector>

#include "bench/coordinator.h"
#include "cluster/coordinator.h"
#include "core/files.h"

namespace renas::bench {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kIdle = std::chrono::milliseconds(2);  // as real workers do
/// A rank that trains looks for messages after each step.
constexpr auto kStep = std::chrono::milliseconds(20);

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

class SleepingWorker {
 public:
  SleepingWorker(Transport& transport, const CoordinatorOptions& options)
      : transport_(transport),
        options_(options),
        draw_(static_cast<uint64_t>(transport.rank()) + 1) {}

  void run() {
    send({.kind = Report::Kind::kReady, .host = host_name()});
    while (!stopped_) {
      listen();
      if (next_) {
        work(*std::exchange(next_, std::nullopt));
      } else {
        std::this_thread::sleep_for(kIdle);
      }
    }
    if (transport_.rank() != 0) send({.kind = Report::Kind::kBye});
  }

 private:
  void send(const Report& report) { transport_.send_to_coordinator(encode(report)); }

  void listen() {
    while (const auto text = transport_.next_from_coordinator()) {
      const Task task = decode_task(*text);
      if (task.kind == Task::Kind::kStop) stopped_ = true;
      if (task.kind == Task::Kind::kEvaluate) next_ = task;
    }
  }

  void work(const Task& task) {
    const double sigma = options_.spread;
    std::lognormal_distribution<double> length(std::log(options_.child) - sigma * sigma / 2, sigma);
    // At first ranks are somewhere in the middle of a child, as they are later.
    const double share = first_ ? std::uniform_real_distribution<double>()(draw_) : 1;
    first_ = false;
    const std::chrono::duration<double> all(share * length(draw_));
    const auto start = Clock::now();
    auto said = start;
    while (!stopped_ && Clock::now() - start < all) {
      std::this_thread::sleep_for(
          std::min<std::chrono::duration<double>>(kStep, all - (Clock::now() - start)));
      listen();
      if (seconds_since(said) < 1) continue;
      said = Clock::now();
      send({.kind = Report::Kind::kProgress,
            .images = 1000,
            .task = name_of(task),
            .serial = task.serial});
    }
    Report report{.kind = Report::Kind::kDone,
                  .host = host_name(),
                  .task = name_of(task),
                  .serial = task.serial,
                  .stopped = stopped_};
    report.fitness = made_up_fitness(task.genome);
    report.counts = {1000000, 100000000};
    report.seconds = seconds_since(start);
    send(report);
  }

  Transport& transport_;
  const CoordinatorOptions& options_;
  std::mt19937_64 draw_;
  std::optional<Task> next_;
  bool stopped_ = false;
  bool first_ = true;
};

/// The coordinator's half of `transport`, and what passes through it.
class MeasuringTransport final : public Transport {
 public:
  MeasuringTransport(Transport& transport, std::string data, double seconds)
      : transport_(transport),
        data_(std::move(data)),
        seconds_(seconds),
        since_(static_cast<std::size_t>(transport.ranks())) {}

  int rank() const override { return 0; }
  int ranks() const override { return transport_.ranks(); }
  void send_to_coordinator(const std::string& text) override {
    transport_.send_to_coordinator(text);
  }
  std::optional<std::string> next_from_coordinator() override {
    return transport_.next_from_coordinator();
  }

  void send_to_worker(int rank, const std::string& text) override {
    transport_.send_to_worker(rank, text);
    if (decode_task(text).kind != Task::Kind::kEvaluate) return;
    Rank& r = since_[static_cast<std::size_t>(rank)];
    if (measuring_) measured.longest_wait = std::max(measured.longest_wait, seconds_since(r.since));
    begun_ += r.began ? 0 : 1;
    r = {Clock::now(), true, true};
    if (begun_ == ranks() && !measuring_ && !stop) {
      measuring_ = true;
      measured.start_seconds = seconds_since(started_);
      from_ = Clock::now();
      processor_before_ = thread_seconds();
    }
  }

  std::optional<Message> next_from_workers() override {
    if (measuring_ && seconds_since(from_) > seconds_) finish();
    auto message = transport_.next_from_workers();
    if (!message) return message;
    Report report = decode_report(message->text);
    if (report.kind == Report::Kind::kReady) {
      report.data = data_;
      message->text = encode(report);
    }
    if (report.kind != Report::Kind::kDone || report.stopped) return message;
    Rank& r = since_[static_cast<std::size_t>(message->rank)];
    r.since = Clock::now();
    r.busy = false;
    if (measuring_) {
      ++measured.results;
      measured.busy += std::min(report.seconds, seconds_since(from_));
    }
    return message;
  }

  std::atomic<bool> stop{false};
  Measured measured;

 private:
  struct Rank {
    Clock::time_point since;  ///< it has its task, or is done with it
    bool began = false;
    bool busy = false;
  };

  void finish() {
    measuring_ = false;
    measured.seconds = seconds_since(from_);
    measured.processor = thread_seconds() - processor_before_;
    for (const Rank& r : since_) {
      if (r.busy) measured.busy += std::min(seconds_since(r.since), measured.seconds);
    }
    stop = true;
  }

  Transport& transport_;
  std::string data_;
  double seconds_;
  std::vector<Rank> since_;
  int begun_ = 0;
  bool measuring_ = false;
  const Clock::time_point started_ = Clock::now();
  Clock::time_point from_;
  double processor_before_ = 0;
};

}  // namespace

void sleep_as_worker(Transport& transport, const CoordinatorOptions& options) {
  SleepingWorker(transport, options).run();
}

Measured measure_real_ranks(const CoordinatorOptions& options, const SearchRunOptions& run,
                            Transport& transport) {
  const RunSetup setup = make_setup(run);
  MeasuringTransport measuring(transport, setup.data_identity, options.seconds);
  SearchRunHooks hooks;
  hooks.stop = &measuring.stop;
  WorkQueue queue(setup, std::make_unique<SearchJournal>(setup, transport.ranks(), nullptr),
                  nullptr);
  Coordinator coordinator(setup, queue, measuring, hooks);
  std::exception_ptr failure;
  {
    const std::jthread coordinating([&] {
      try {
        coordinator.run();
      } catch (...) {
        failure = std::current_exception();
      }
    });
    sleep_as_worker(transport, options);
  }
  if (failure) std::rethrow_exception(failure);
  return measuring.measured;
}

}  // namespace renas::bench
