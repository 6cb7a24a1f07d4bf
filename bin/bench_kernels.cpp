// renas-bench kernels: each compiled group of a training step against its limit.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>
#include <memory>
#include <string>

#include "backend/onednn/limit.h"
#include "backend/onednn/program.h"
#include "bench.h"
#include "bench_network.h"

namespace {

using renas::onednn::Bound;
using renas::onednn::Machine;
using renas::onednn::Work;

struct Options {
  NetworkChoice network;
  int steps = 10;
  bool each = false;
};

struct Line {
  int groups = 0;
  Work forward;
  Work backward;
  double forward_seconds = 0;
  double backward_seconds = 0;
  double forward_limit = 0;
  double backward_limit = 0;
};

void print_row(const std::string& name, int groups, const char* way, const Work& work,
               double seconds, double limit) {
  if (seconds <= 0 || work.bytes <= 0) return;
  std::printf("%-44s %4d %-8s %9.3f %8.1f %8.1f %8.2f\n", name.c_str(), groups, way, 1e3 * seconds,
              work.flops / seconds / 1e9, work.bytes / seconds / 1e9, limit / seconds);
}

void run(const Options& o) {
  const renas::Graph graph = o.network.graph();
  renas::ProgramOptions options = o.network.program_options();
  const Machine machine(options.threads);
  std::printf("peak %.1f GFLOP/s on %d thread(s); GB/s by size:", machine.peak_flops() / 1e9,
              options.threads);
  for (const auto& [bytes, speed] : machine.bandwidths()) {
    std::printf(" %.3g MB %.1f", bytes / 1e6, speed / 1e9);
  }
  std::printf("\n");
  renas::onednn::CpuProgram program(graph, options);
  o.network.fill(program, graph);
  program.gradients({});
  program.profile();
  for (int i = 0; i < o.steps; ++i) program.gradients({.step = static_cast<uint64_t>(i)});

  std::map<std::string, Line> lines;
  double seconds = 0;
  double limit = 0;
  for (const Bound& bound : program.groups()) {
    std::string name = renas::onednn::describe(graph, bound);
    if (o.each) name = graph.node(bound.group.node).name + " " + name;
    Line& line = lines[name];
    const Work forward = renas::onednn::forward_work(graph, bound, options.batch);
    const Work backward = renas::onednn::backward_work(graph, bound, options.batch);
    ++line.groups;
    line.forward.flops += forward.flops;
    line.forward.bytes += forward.bytes;
    line.backward.flops += backward.flops;
    line.backward.bytes += backward.bytes;
    line.forward_seconds += bound.forward_seconds / options.threads;
    line.backward_seconds += bound.backward_seconds / options.threads;
    line.forward_limit += machine.limit(forward);
    line.backward_limit += backward.bytes > 0 ? machine.limit(backward) : 0;
    seconds += (bound.forward_seconds + bound.backward_seconds) / options.threads;
    limit += machine.limit(forward) + (backward.bytes > 0 ? machine.limit(backward) : 0);
  }
  std::printf("%-44s %4s %-8s %9s %8s %8s %8s\n", "group", "n", "", "ms", "GFLOP/s", "GB/s",
              "of limit");
  for (const auto& [name, line] : lines) {
    print_row(name, line.groups, "forward", line.forward, line.forward_seconds, line.forward_limit);
    print_row(name, line.groups, "backward", line.backward, line.backward_seconds,
              line.backward_limit);
  }
  std::printf("all groups: %.1f ms, limit %.1f ms, fraction %.3f\n", 1e3 * seconds, 1e3 * limit,
              limit / seconds);
}

}  // namespace

void add_kernels_bench(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* kernels = app.add_subcommand(
      "kernels", "Each compiled group of a training step: time, speed, fraction of its limit");
  options->network.add_options(*kernels);
  kernels->add_option("--steps", options->steps, "Steps that are timed")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  kernels->add_flag("--each", options->each, "One line a group, not one a kind of group");
  kernels->callback([options] { run(*options); });
}
