// renas-bench threads: training steps on one thread and on several, while other work keeps the
// cores busy.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "bench/bench.h"
#include "bench/network.h"
#include "renas/backend.h"

namespace {

struct Options {
  NetworkChoice network;
  int busy = 2;
  int steps = 30;
  int rounds = 7;
  bool json = false;
};

/// Loops that do nothing but keep cores busy, while the object lives.
class BusyLoops {
 public:
  explicit BusyLoops(int count) {
    for (int i = 0; i < count; ++i) {
      loops_.emplace_back([this] {
        while (!stop_.load(std::memory_order_relaxed)) {
        }
      });
    }
  }
  ~BusyLoops() {
    stop_ = true;
    for (std::thread& loop : loops_) loop.join();
  }
  BusyLoops(const BusyLoops&) = delete;
  BusyLoops& operator=(const BusyLoops&) = delete;

 private:
  std::atomic<bool> stop_{false};
  std::vector<std::thread> loops_;
};

/// A network that is trained on a number of threads.
struct Trained {
  int threads;
  std::unique_ptr<renas::Program> program;
  std::vector<double> rates;  // images/s, by round
};

void train(renas::Program& program, int steps) {
  for (int i = 0; i < steps; ++i) {
    program.gradients({.seed = 1, .step = static_cast<uint64_t>(i)});
    program.update({});
  }
  program.metrics();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

void run(const Options& options) {
  const NetworkChoice& o = options.network;
  const auto backend = renas::make_backend({});
  const renas::Graph graph = o.graph();
  std::vector<Trained> all;
  for (const int threads : {1, o.threads}) {
    renas::ProgramOptions program_options = o.program_options();
    program_options.threads = threads;
    all.push_back({threads, backend->compile(graph, program_options), {}});
    o.stage(*all.back().program);
    all.back().program->load(o.weights(graph));
    train(*all.back().program, 1);
  }
  nlohmann::ordered_json lines = nlohmann::ordered_json::array();
  for (const int busy : {0, options.busy}) {
    const BusyLoops beside(busy);
    for (Trained& trained : all) trained.rates.clear();
    for (int round = 0; round < options.rounds; ++round) {  // in turn: others' load hits both
      for (Trained& trained : all) {
        const auto start = std::chrono::steady_clock::now();
        train(*trained.program, options.steps);
        const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
        trained.rates.push_back(o.batch * options.steps / time.count());
      }
    }
    for (const Trained& trained : all) {
      const auto [least, most] = std::minmax_element(trained.rates.begin(), trained.rates.end());
      lines.push_back({{"busy_loops", busy},
                       {"threads", trained.threads},
                       {"images_per_second", median(trained.rates)},
                       {"least", *least},
                       {"most", *most}});
      if (options.json) continue;
      fmt::print("{} busy loop{} beside {} thread{}: {:7.0f} images/s ({:.0f} to {:.0f})\n", busy,
                 busy == 1 ? "" : "s", trained.threads, trained.threads == 1 ? "" : "s",
                 median(trained.rates), *least, *most);
    }
  }
  if (options.json) fmt::print("{}\n", lines.dump(2));
}

}  // namespace

void add_threads_bench(CLI::App& app) {
  auto options = std::make_shared<Options>();
  Options& o = *options;
  o.network.cells = 1;  // a small network has the most waits for its work
  o.network.filters = 8;
  o.network.batch = 16;
  o.network.threads = 2;
  CLI::App* threads = app.add_subcommand(
      "threads", "Training steps on one thread and on --threads, with busy loops beside them");
  o.network.add_options(*threads);
  threads->add_option("--busy", o.busy, "Loops that keep cores busy")
      ->check(CLI::Range(0, 4096))
      ->capture_default_str();
  threads->add_option("--steps", o.steps, "Steps that are timed together")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  threads->add_option("--rounds", o.rounds, "Times, in turn; the median is printed")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  threads->add_flag("--json", o.json, "Print JSON");
  threads->callback([options] { run(*options); });
}
