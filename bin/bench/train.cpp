// renas-bench train: whole training steps of one network, as the search takes them.
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench/bench.h"
#include "bench/network.h"
#include "bench/train_ranks.h"
#include "renas/backend.h"

namespace {

struct Options {
  NetworkChoice network;
  std::string backend = "auto";
  int streams = 0;
  bool no_graph = false;
  int steps = 20;
  int children = 0;
  bool ranks = false;
  int rounds = 3;
  bool json = false;
};

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// What a child costs before its second step: network, program, weights, first step.
struct Start {
  std::unique_ptr<renas::Program> program;
  double compile = 0;  // seconds, network and program
  double first_step = 0;
  double all() const { return compile + first_step; }
};

Start start_child(renas::Backend& backend, const NetworkChoice& choice) {
  Start start;
  const auto begin = std::chrono::steady_clock::now();
  const renas::Graph graph = choice.graph();
  start.program = backend.compile(graph, choice.program_options());
  start.compile = seconds_since(begin);
  // A child has them from its parent and from the data set.
  const renas::Weights weights = choice.weights(graph);
  choice.stage(*start.program);
  const auto rest = std::chrono::steady_clock::now();
  start.program->load(weights);
  start.program->gradients({.seed = 1, .step = 0});
  start.program->update({});
  start.program->metrics();
  start.first_step = seconds_since(rest);
  return start;
}

/// Largest resident memory of this process so far, in bytes.
int64_t peak_resident() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return int64_t{usage.ru_maxrss} * 1024;
}

/// Many children one after the other, as a rank trains them.
nlohmann::json start_children(renas::Backend& backend, const NetworkChoice& choice, int children) {
  start_child(backend, choice);  // what a process takes once
  const int64_t before = peak_resident();
  std::vector<double> seconds;
  for (int i = 0; i < children; ++i) seconds.push_back(start_child(backend, choice).all());
  std::sort(seconds.begin(), seconds.end());
  return {{"children", children},
          {"start_seconds_median", seconds[seconds.size() / 2]},
          {"start_seconds_maximum", seconds.back()},
          {"resident_growth_bytes", peak_resident() - before}};
}

void run(const Options& options) {
  const NetworkChoice& o = options.network;
  const renas::ProgramOptions program_options = o.program_options();
  const auto backend = renas::make_backend(
      {.backend = options.backend, .streams = options.streams, .graphs = !options.no_graph});
  const renas::Graph graph = o.graph();
  if (backend->precision(program_options.precision) != program_options.precision) {
    std::fprintf(stderr, "renas-bench: backend %s has no bf16; using float32\n",
                 backend->name().c_str());
  }

  // The first child of a process touches memory that the next one finds ready.
  const double first_start = start_child(*backend, o).all();
  const Start start = start_child(*backend, o);
  renas::Program& program = *start.program;
  std::vector<double> times;
  double loss = 0;
  const std::clock_t processor = std::clock();
  // As in a training, metrics are asked for, and a GPU waited for, every few steps.
  const int together = std::min(program.steps_between_metrics(), options.steps);
  int steps = 0;
  while (steps < options.steps) {
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < together; ++i) {
      program.gradients({.seed = 1, .step = static_cast<uint64_t>(++steps)});
      program.update({});
    }
    loss = program.metrics().loss / (o.batch * together);
    times.push_back(seconds_since(begin) / together);
  }
  const double per_processor_second =
      double{CLOCKS_PER_SEC} * o.batch * steps / static_cast<double>(std::clock() - processor);
  std::sort(times.begin(), times.end());
  const double median = o.batch / times[times.size() / 2];
  nlohmann::json result = {
      {"backend", backend->name()},
      {"genome", o.genome},
      {"network", o.network},
      {"cells", o.cells},
      {"filters", o.filters},
      {"image", o.image},
      {"batch", o.batch},
      {"threads", o.threads},
      {"precision", renas::to_string(backend->precision(program_options.precision))},
      {"steps", steps},
      {"images_per_second", median},
      {"images_per_second_minimum", o.batch / times.back()},
      {"images_per_second_maximum", o.batch / times.front()},
      // Of processor time over all threads: tells more than the clock on a machine shared with
      // others.
      {"images_per_processor_second", per_processor_second},
      {"compile_seconds", start.compile},
      {"start_seconds", start.all()},
      {"first_start_seconds", first_start},
      {"planned_bytes", backend->estimate(graph, program_options).bytes},
      {"peak_bytes", peak_resident()},
      {"loss", loss},
  };
  if (const auto roofline = program.roofline(o.batch)) {
    const double limit = roofline->seconds;
    result["limit_images_per_second"] = o.batch / limit;
    result["limit_fraction"] = median * limit / o.batch;
    result["limit_fraction_of_processor_time"] = per_processor_second * o.threads * limit / o.batch;
    result["peak_gflops"] = roofline->peak_flops / 1e9;
    result["peak_bf16_gflops"] = roofline->peak_bf16_flops / 1e9;
  }
  if (options.children > 0) result["many"] = start_children(*backend, o, options.children);
  if (options.json) {
    std::printf("%s\n", result.dump(2).c_str());
    return;
  }
  std::printf("%s, %s N=%d F=%d, %s, batch %d, %d thread%s, %s\n", backend->description().c_str(),
              o.network.c_str(), o.cells, o.filters, o.image.c_str(), o.batch, o.threads,
              o.threads == 1 ? "" : "s", result["precision"].get<std::string>().c_str());
  std::printf("%.1f images/s (median of %d steps; %.1f to %.1f)\n", median, steps,
              o.batch / times.back(), o.batch / times.front());
  std::printf("%.1f images a second of processor time\n", per_processor_second);
  if (result.contains("limit_fraction")) {
    std::printf("limit %.1f images/s: fraction %.3f, of processor time %.3f\n",
                result["limit_images_per_second"].get<double>(),
                result["limit_fraction"].get<double>(),
                result["limit_fraction_of_processor_time"].get<double>());
  }
  std::printf("memory %.1f MB planned, %.1f MB resident at most\n",
              result["planned_bytes"].get<double>() / 1e6,
              result["peak_bytes"].get<double>() / 1e6);
  std::printf(
      "start of a child, to its first step: %.3f s, %.3f of them to compile; the first of "
      "a process: %.3f s\n",
      start.all(), start.compile, first_start);
  if (result.contains("many")) {
    const nlohmann::json& many = result["many"];
    std::printf(
        "%d children more: %.3f s each to their first step (median; %.3f at most), resident %.1f "
        "MB more\n",
        options.children, many["start_seconds_median"].get<double>(),
        many["start_seconds_maximum"].get<double>(),
        many["resident_growth_bytes"].get<double>() / 1e6);
  }
}

}  // namespace

void add_train_bench(CLI::App& app) {
  auto options = std::make_shared<Options>();
  Options& o = *options;
  CLI::App* train = app.add_subcommand("train", "Training steps of one network: images/s, memory");
  o.network.add_options(*train);
  train->add_option("--steps", o.steps, "Steps that are timed, after one that is not")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  train
      ->add_option("--children", o.children, "Start so many children more, and say what each costs")
      ->check(CLI::Range(0, 1000000))
      ->capture_default_str();
  CLI::Option* ranks = train->add_flag(
      "--ranks", o.ranks,
      "Under mpirun: compare one rank alone with all of them training together, each with --batch "
      "pictures a step, and say what their sums cost");
  train->add_option("--rounds", o.rounds, "With --ranks: so many times in turn")
      ->check(CLI::Range(1, 1000))
      ->needs(ranks)
      ->capture_default_str();
  train->add_option("--backend", o.backend, "Backend, or auto")->capture_default_str();
  train->add_option("--streams", o.streams, "cudnn: streams of a step; 0: the backend's choice")
      ->check(CLI::Range(0, 64))
      ->capture_default_str();
  train->add_flag("--no-graph", o.no_graph,
                  "cudnn: launch a step's kernels one by one, not as a CUDA graph");
  train->add_flag("--json", o.json, "Print JSON");
  train->callback([options] {
    if (!options->ranks) return run(*options);
    run_ranks_bench({options->network, options->backend, options->streams, options->steps,
                     options->rounds, options->json});
  });
}
