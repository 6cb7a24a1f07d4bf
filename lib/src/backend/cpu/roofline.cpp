#include "backend/cpu/roofline.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>
#include <numeric>

#include "backend/cpu/kernels/bf16_kernels.h"

namespace renas::cpu {

namespace {

/// Processor time of the calling thread: that of others does not count.
double thread_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

double map_bytes(const Map& map, const MapData& data, int count) {
  return static_cast<double>(data.bytes(map.size())) * count;
}

/// Multiply-adds of the group's convolutions, one picture.
double conv_mult_adds(const Bound& bound) {
  double total = 0;
  for (const WeightMap& weights : bound.weights.maps) {
    total +=
        static_cast<double>(weights.element.size()) * static_cast<double>(bound.out.map.pixels());
  }
  return total;
}

/// Of pools and sums.
double other_mult_adds(const Graph& graph, const Bound& bound) {
  const Group& group = bound.group;
  if (group.kind == Group::Kind::kPool) {
    const Node& node = graph.node(group.node);
    return static_cast<double>(node.kernel_height * node.kernel_width * node.shape.size());
  }
  if (group.kind == Group::Kind::kAdd) {
    return static_cast<double>(group.parts.size()) *
           static_cast<double>(graph.node(group.node).shape.size());
  }
  return 0;
}

/// Counts the flops of `count` forward passes of a picture.
void add_flops(const Graph& graph, const Bound& bound, double count, Work& work) {
  (bound.out.data.is_bf16() ? work.bf16_flops : work.flops) += 2 * conv_mult_adds(bound) * count;
  work.flops += 2 * other_mult_adds(graph, bound) * count;
}

template <class Visit>
void each_source(const Bound& bound, const Visit& visit) {
  for (const TermArgs& term : bound.conv.terms) visit(term.in);
  for (const InputView& source : bound.add.in) visit(source);
  for (const InputView& source : bound.join.in) visit(source);
  if (bound.separable.in.data) visit(bound.separable.in);
  if (bound.pool.in.data) visit(bound.pool.in);
}

}  // namespace

MachinePeaks::MachinePeaks(int threads) {
  Threads team(threads);
  // All threads at once, each by its own clock; the sum of their speeds, the best of the tries that
  // a quarter of a second has room for: who shares the machine may slow down a few in a row.
  const auto speed = [&](double work, const std::function<void(int)>& task) {
    using Clock = std::chrono::steady_clock;
    const auto end = Clock::now() + std::chrono::milliseconds(250);
    double best = 0;
    for (int repeat = 0; repeat < 5 || Clock::now() < end; ++repeat) {
      std::vector<double> speeds(static_cast<std::size_t>(threads));
      team.run(threads, [&](int i, int) {
        const double start = thread_seconds();
        task(i);
        speeds[static_cast<std::size_t>(i)] = work / (thread_seconds() - start);
      });
      best = std::max(best, std::accumulate(speeds.begin(), speeds.end(), 0.0));
    }
    return best;
  };
  constexpr int64_t kSteps = 2'000'000;
  peak_flops_ = speed(peak_loop(kSteps), [&](int) { peak_loop(kSteps); });
  peak_bf16_flops_ = peak_flops_;
  if (bf16::available()) {
    peak_bf16_flops_ = speed(bf16::peak_loop(kSteps), [&](int) { bf16::peak_loop(kSteps); });
  }
  for (double bytes = 32e3; bytes < 300e6; bytes *= 3) {
    const auto floats = static_cast<std::size_t>(bytes / 12);
    const std::size_t share = floats / static_cast<std::size_t>(threads) / 16 * 16;
    Buffer a(floats + 16);
    Buffer b(floats + 16);
    Buffer c(floats + 16);
    const int passes = std::max(1, static_cast<int>(30e6 / bytes));
    bandwidths_[bytes] = speed(12.0 * static_cast<double>(share) * passes, [&](int i) {
      const std::size_t at = static_cast<std::size_t>(i) * share;
      for (int p = 0; p < passes; ++p) triad(a.data() + at, b.data() + at, c.data() + at, share);
    });
  }
}

double MachinePeaks::bandwidth(double bytes) const {
  const auto above = bandwidths_.lower_bound(bytes);
  if (above == bandwidths_.end()) return bandwidths_.rbegin()->second;
  if (above == bandwidths_.begin()) return above->second;
  const auto below = std::prev(above);
  const double part = std::log(bytes / below->first) / std::log(above->first / below->first);
  return below->second + part * (above->second - below->second);
}

double MachinePeaks::limit(const Work& work) const {
  return std::max(work.flops / peak_flops_ + work.bf16_flops / peak_bf16_flops_,
                  work.bytes / bandwidth(work.bytes));
}

Work forward_work(const Graph& graph, const Bound& bound, int count) {
  Work work;
  add_flops(graph, bound, count, work);
  each_source(bound, [&](const InputView& s) { work.bytes += map_bytes(s.map, s.data, count); });
  if (bound.out.data) {
    work.bytes += map_bytes(bound.out.map, bound.out.data, count);
  }
  return work;
}

Work backward_work(const Graph& graph, const Bound& bound, int count) {
  Work work;
  if (!bound.group.backward) return work;
  bool data_gradient = false;
  each_source(bound, [&](const InputView& s) {
    const double map = map_bytes(s.map, s.data, count);
    // A pool of means and a sum without ReLU need no values again.
    const bool values = !bound.weights.maps.empty() || s.relu || bound.pool.max;
    if (values) work.bytes += map;
    if (!s.gradient) return;
    data_gradient = true;
    work.bytes += s.accumulate ? 2 * map : map;
  });
  if (bound.out.gradient && (data_gradient || !bound.weights.maps.empty())) {
    const double map = map_bytes(bound.out.map, bound.out.gradient, count);
    work.bytes += bound.out.dy_scale != nullptr ? 2 * map : map;
  }
  const double products = (bound.weights.maps.empty() ? 0 : 1) + (data_gradient ? 1 : 0);
  add_flops(graph, bound, count * products, work);
  return work;
}

Work update_work(const Graph& graph) {
  Work work;
  for (const Parameter& p : graph.parameters()) {
    if (!p.trainable()) continue;
    work.flops += 6 * static_cast<double>(p.size());
    work.bytes += 24 * static_cast<double>(p.size());
  }
  return work;
}

double step_roofline(const Graph& graph, const CpuProgram& program, int count,
                     const MachinePeaks& machine) {
  double seconds = machine.limit(update_work(graph));
  for (const Bound& bound : program.groups()) {
    seconds += machine.limit(forward_work(graph, bound, count));
    const Work backward = backward_work(graph, bound, count);
    if (backward.bytes > 0) seconds += machine.limit(backward);
  }
  return seconds;
}

std::string describe(const Graph& graph, const Bound& bound) {
  const Group& group = bound.group;
  std::string text = to_string(group.kind);
  const auto window = [](const WindowArgs& w) {
    return fmt::format(" {}x{}{}", w.height, w.width,
                       w.stride == 1 ? std::string() : fmt::format("/{}", w.stride));
  };
  if (group.kind == Group::Kind::kSeparable) {
    text += window(bound.separable.window);
  } else if (group.kind == Group::Kind::kConv) {
    text += window(bound.conv.terms[0].window);
  } else if (group.kind == Group::Kind::kPool) {
    text = (bound.pool.max ? "max pool" : "average pool") + window(bound.pool.window);
  }
  int channels = 0;
  each_source(bound, [&](const InputView& s) { channels += s.map.channels; });
  const Shape& shape = graph.node(group.node).shape;
  return fmt::format("{} {}>{} {}x{}", text, channels, shape.channels, shape.height, shape.width);
}

}  // namespace renas::cpu
