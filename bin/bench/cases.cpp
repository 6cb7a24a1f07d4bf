// renas-bench cases: the list of networks that every backend must compute alike, timed one by one.
#include "backend/conformance/cases.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "bench/bench.h"
#include "renas/backend.h"
#include "renas/error.h"

namespace {

struct Options {
  renas::Device device;
  std::string precision = "f32";
  std::string filter;
  int steps = 20;
  bool json = false;
};

/// The shortest time of a step, forward and backward, in seconds.
double time_step(renas::Backend& backend, const conformance::Case& c, const Options& options) {
  const auto program = backend.compile(
      c.graph, conformance::options_of(c, options.device.threads, options.device.precision));
  program->load(conformance::ramp_weights(c.graph, 1));
  double shortest = 1e300;
  for (int step = 0; step < options.steps; ++step) {
    conformance::stage(*program, c.graph, c.count, 2);
    const auto start = std::chrono::steady_clock::now();
    program->gradients(c.step);
    program->metrics();
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    shortest = std::min(shortest, time.count());
  }
  return shortest;
}

void run(Options options) {
  options.device.precision = renas::parse_precision(options.precision);
  const auto backend = renas::make_backend(options.device);
  nlohmann::ordered_json lines = nlohmann::ordered_json::array();
  if (!options.json) fmt::print("{:>12}  case, on {}\n", "us a step", backend->description());
  for (const conformance::Case& c : conformance::all_cases()) {
    if (c.name.find(options.filter) == std::string::npos) continue;
    const double seconds = time_step(*backend, c, options);
    lines.push_back({{"case", c.name}, {"backend", backend->name()}, {"seconds", seconds}});
    if (!options.json) fmt::print("{:12.1f}  {}\n", 1e6 * seconds, c.name);
  }
  if (lines.empty()) {
    throw renas::InvalidInput(
        fmt::format("--case {}: no case has this in its name", options.filter));
  }
  if (options.json) fmt::print("{}\n", lines.dump(2));
}

}  // namespace

void add_cases_bench(CLI::App& app) {
  auto options = std::make_shared<Options>();
  Options& o = *options;
  CLI::App* cases = app.add_subcommand(
      "cases", "Training steps of the small networks that every backend is tested by");
  cases->add_option("--case", o.filter, "Only cases with this text in their name; default: all");
  cases->add_option("--backend", o.device.backend, "Backend, or auto")->capture_default_str();
  cases->add_option("--threads", o.device.threads, "Threads")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  cases->add_option("--precision", o.precision, "f32 or bf16")->capture_default_str();
  cases->add_option("--steps", o.steps, "Steps of each, of which the shortest counts")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  cases->add_flag("--json", o.json, "Print JSON");
  cases->callback([options] { run(*options); });
}
