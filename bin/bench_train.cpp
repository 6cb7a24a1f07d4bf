// renas-bench train: whole training steps of one network, as the search takes them.
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench.h"
#include "renas/backend.h"
#include "renas/error.h"
#include "renas/network.h"

namespace {

struct Options {
  std::string genome = "renasnet";
  std::string network = "cifar";
  std::string image = "32x32x3";
  std::string precision = "f32";
  std::string backend = "auto";
  int cells = 2;
  int filters = 24;
  int classes = 10;
  int batch = 64;
  int threads = 1;
  int steps = 20;
  bool auxiliary = false;
  bool json = false;
};

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Largest resident memory of this process so far, in bytes.
int64_t peak_resident() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return int64_t{usage.ru_maxrss} * 1024;
}

void run(const Options& o) {
  if (o.precision != "f32" && o.precision != "bf16") {
    throw renas::InvalidInput("--precision: expected f32 or bf16, got '" + o.precision + "'");
  }
  const renas::SearchSpace space = renas::SearchSpace::renas();
  renas::NetworkOptions network;
  network.kind = renas::parse_network_kind(o.network);
  network.cells = o.cells;
  network.filters = o.filters;
  network.image = renas::parse_shape(o.image);
  network.classes = o.classes;
  network.auxiliary = o.auxiliary;
  const auto backend = renas::make_backend(o.backend);
  renas::ProgramOptions options;
  options.batch = o.batch;
  options.threads = o.threads;
  if (o.precision == "bf16") options.precision = renas::Precision::kBfloat16;

  auto start = std::chrono::steady_clock::now();
  const renas::Graph graph =
      renas::build_network(space, renas::parse_genome(space, o.genome), network);
  renas::Random random(1);
  const renas::Weights weights = renas::initialize(graph, random);
  const double build_seconds = seconds_since(start);

  // What a child costs before its second step.
  start = std::chrono::steady_clock::now();
  const auto program = backend->compile(graph, options);
  program->load(weights);
  renas::HostBatch& batch = program->staging();
  for (float& v : batch.images) v = static_cast<float>(random.normal());
  for (int32_t& v : batch.labels) {
    v = static_cast<int32_t>(random.below(static_cast<uint64_t>(o.classes)));
  }
  batch.count = o.batch;
  std::vector<double> times;
  double start_seconds = 0;
  double loss = 0;
  for (int i = 0; i <= o.steps; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    program->gradients({.seed = 1, .step = static_cast<uint64_t>(i)});
    program->update({});
    loss = program->metrics().loss / o.batch;
    if (i == 0) {
      start_seconds = seconds_since(start);
    } else {
      times.push_back(seconds_since(begin));
    }
  }
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
      {"precision", o.precision},
      {"steps", o.steps},
      {"images_per_second", median},
      {"images_per_second_minimum", o.batch / times.back()},
      {"images_per_second_maximum", o.batch / times.front()},
      {"build_seconds", build_seconds},
      {"start_seconds", start_seconds},
      {"planned_bytes", backend->estimate(graph, options).bytes},
      {"peak_bytes", peak_resident()},
      {"loss", loss},
  };
  if (o.json) {
    std::printf("%s\n", result.dump(2).c_str());
    return;
  }
  std::printf("%s, %s N=%d F=%d, %s, batch %d, %d thread%s, %s\n", backend->name().c_str(),
              o.network.c_str(), o.cells, o.filters, o.image.c_str(), o.batch, o.threads,
              o.threads == 1 ? "" : "s", o.precision.c_str());
  std::printf("%.1f images/s (median of %d steps; %.1f to %.1f)\n", median, o.steps,
              o.batch / times.back(), o.batch / times.front());
  std::printf("memory %.1f MB planned, %.1f MB resident at most; start %.3f s\n",
              result["planned_bytes"].get<double>() / 1e6, result["peak_bytes"].get<double>() / 1e6,
              build_seconds + start_seconds);
}

}  // namespace

void add_train_bench(CLI::App& app) {
  auto options = std::make_shared<Options>();
  Options& o = *options;
  CLI::App* train = app.add_subcommand("train", "Training steps of one network: images/s, memory");
  train->add_option("--genome", o.genome, "Genome, or renasnet")->capture_default_str();
  train->add_option("--network", o.network, "cifar or imagenet")->capture_default_str();
  train->add_option("--cells", o.cells, "N, cells a stage")->capture_default_str();
  train->add_option("--filters", o.filters, "F, filters of the first stage")->capture_default_str();
  train->add_option("--image", o.image, "Pictures, HxWxC")->capture_default_str();
  train->add_option("--classes", o.classes, "Classes")->capture_default_str();
  train->add_option("--batch", o.batch, "Pictures a step")->capture_default_str();
  train->add_option("--threads", o.threads, "Threads")->capture_default_str();
  train->add_option("--steps", o.steps, "Steps that are timed, after one that is not")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  train->add_option("--precision", o.precision, "f32 or bf16")->capture_default_str();
  train->add_option("--backend", o.backend, "Backend, or auto")->capture_default_str();
  train->add_flag("--auxiliary", o.auxiliary, "With the auxiliary head");
  train->add_flag("--json", o.json, "Print JSON");
  train->callback([options] { run(*options); });
}
