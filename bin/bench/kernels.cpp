// renas-bench kernels: each compiled group of a training step against its limit.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "backend/cpu/program.h"
#include "backend/cpu/roofline.h"
#include "bench/bench.h"
#include "bench/network.h"
#include "bench/onednn_conv.h"
#include "renas/error.h"

namespace {

using renas::cpu::MachinePeaks;
using renas::plan::Work;

struct Options {
  NetworkChoice network;
  int steps = 10;
  bool each = false;
  bool compare = false;
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
              work.all_flops() / seconds / 1e9, work.bytes / seconds / 1e9, limit / seconds);
}

void run(const Options& o) {
  const renas::Graph graph = o.network.graph();
  renas::ProgramOptions options = o.network.program_options();
  const MachinePeaks machine(options.threads);
  std::printf("peak %.1f GFLOP/s, of bfloat16 products %.1f, on %d thread(s); GB/s by size:",
              machine.peak_flops() / 1e9, machine.peak_bf16_flops() / 1e9, options.threads);
  for (const auto& [bytes, speed] : machine.bandwidths()) {
    std::printf(" %.3g MB %.1f", bytes / 1e6, speed / 1e9);
  }
  std::printf("\n");
  renas::cpu::CpuProgram program(graph, options);
  program.load(o.network.weights(graph));
  o.network.stage(program);
  program.gradients({});
  program.profile();
  for (int i = 0; i < o.steps; ++i) program.gradients({.step = static_cast<uint64_t>(i)});

  std::map<std::string, Line> lines;
  double seconds = 0;
  double limit = 0;
  for (std::size_t i = 0; i < program.groups().size(); ++i) {
    const renas::cpu::FusedGroup& group = *program.groups()[i];
    const renas::cpu::GroupTimes& times = program.times()[i];
    std::string name = group.describe();
    if (o.each) name = graph.node(group.group().node).name + " " + name;
    Line& line = lines[name];
    const Work forward = renas::plan::forward_work(group.work(), options.batch);
    const Work backward = renas::plan::backward_work(group.work(), options.batch);
    ++line.groups;
    line.forward.flops += forward.all_flops();
    line.forward.bytes += forward.bytes;
    line.backward.flops += backward.all_flops();
    line.backward.bytes += backward.bytes;
    const double forward_limit = machine.seconds(forward);
    const double backward_limit = backward.bytes > 0 ? machine.seconds(backward) : 0;
    line.forward_seconds += times.forward;
    line.backward_seconds += times.backward;
    line.forward_limit += forward_limit;
    line.backward_limit += backward_limit;
    seconds += times.forward + times.backward;
    limit += forward_limit + backward_limit;
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

OneDnnConv conv_of(const renas::Graph& graph, const renas::Node& node, int batch) {
  const renas::Shape& in = graph.node(node.inputs[0]).shape;
  return {batch, in.channels, node.shape.channels, in.height, in.width, node.window, node.groups};
}

/// Each fused group beside the oneDNN primitives that it replaces, which know no batch norm, ReLU,
/// gradient sum or concatenation: those would come on top.
void compare(const Options& o) {
  const renas::Graph graph = o.network.graph();
  const renas::ProgramOptions options = o.network.program_options();
  if (options.precision != renas::Precision::kFloat32) {
    throw renas::InvalidInput(
        "--compare: oneDNN's convolutions are timed in float32; expected --precision f32");
  }
  renas::cpu::CpuProgram program(graph, options);
  program.load(o.network.weights(graph));
  o.network.stage(program);
  program.gradients({});
  program.profile();
  for (int i = 0; i < o.steps; ++i) program.gradients({.step = static_cast<uint64_t>(i)});
  struct Pair {
    int groups = 0;
    double ours = 0;
    double theirs = 0;
    std::string implementations;
  };
  std::map<std::string, Pair> pairs;
  std::map<OneDnnConv, OneDnnTimes> known;
  for (std::size_t i = 0; i < program.groups().size(); ++i) {
    const renas::cpu::FusedGroup& fused = *program.groups()[i];
    const renas::plan::Group& group = fused.group();
    const bool linear = graph.node(group.node).kind == renas::NodeKind::kLinear;
    if (fused.weights().maps.empty() || linear) continue;
    Pair& pair = pairs[fused.describe()];
    ++pair.groups;
    pair.ours += program.times()[i].forward + program.times()[i].backward;
    std::vector<int> nodes;
    for (const int node : {group.depthwise, group.pointwise}) {
      if (node >= 0) nodes.push_back(node);
    }
    for (const auto& term : group.terms) {
      if (nodes.empty() || nodes.back() != term.conv) nodes.push_back(term.conv);
    }
    pair.implementations.clear();
    for (const int node : nodes) {
      const OneDnnConv conv = conv_of(graph, graph.node(node), options.batch);
      if (known.count(conv) == 0) known[conv] = time_onednn(conv, options.threads);
      const OneDnnTimes& times = known[conv];
      pair.theirs += times.forward + times.backward_data + times.backward_weights;
      pair.implementations += "  " + times.implementations;
    }
  }
  std::printf("ms, forward and backward; oneDNN %s: its convolutions alone\n",
              onednn_version().c_str());
  std::printf("%-44s %4s %10s %10s %6s\n", "group", "n", "fused", "oneDNN", "ratio");
  for (const auto& [name, pair] : pairs) {
    std::printf("%-44s %4d %10.3f %10.3f %6.2f%s\n", name.c_str(), pair.groups, 1e3 * pair.ours,
                1e3 * pair.theirs, pair.theirs / pair.ours, pair.implementations.c_str());
  }
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
  kernels->add_flag("--compare", options->compare,
                    "Each group beside the oneDNN convolutions that it replaces");
  kernels->callback([options] { options->compare ? compare(*options) : run(*options); });
}
