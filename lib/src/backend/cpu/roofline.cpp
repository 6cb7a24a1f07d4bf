#include "backend/cpu/roofline.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>
#include <functional>
#include <numeric>

#include "backend/cpu/kernels/bf16_kernels.h"
#include "backend/cpu/memory.h"
#include "backend/cpu/threads.h"

namespace renas::cpu {

namespace {

/// The processor time of the calling thread, in seconds.
double thread_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

}  // namespace

MachinePeaks::MachinePeaks(int threads) {
  Threads team(threads);
  // All threads work at once, each timed by its own clock, and their speeds are added. The best of
  // many tries counts, since others on the machine may slow down some in a row.
  const auto speed = [&](double work, const std::function<void(int)>& task) {
    using Clock = std::chrono::steady_clock;
    const auto end = Clock::now() + std::chrono::milliseconds(250);
    double best = 0;
    for (int repeat = 0; repeat < 5 || Clock::now() < end; ++repeat) {
      std::vector<double> speeds(threads);
      team.run(threads, [&](int i, int) {
        const double start = thread_seconds();
        task(i);
        speeds[i] = work / (thread_seconds() - start);
      });
      best = std::max(best, std::accumulate(speeds.begin(), speeds.end(), 0.0));
    }
    return best;
  };
  constexpr int64_t kSteps = 2'000'000;
  peak_flops_ = speed(peak_loop(kSteps), [&](int) { peak_loop(kSteps); });
  peak_bf16_flops_ = peak_bf16_vector_flops_ = peak_flops_;
  if (bf16::available()) {
    peak_bf16_flops_ = speed(bf16::peak_loop(kSteps), [&](int) { bf16::peak_loop(kSteps); });
    peak_bf16_vector_flops_ = std::max(peak_flops_, peak_bf16_flops_);
  }
  if (bf16::has_amx()) {
    peak_bf16_flops_ =
        speed(bf16::amx_peak_loop(kSteps), [&](int) { bf16::amx_peak_loop(kSteps); });
  }
  for (double bytes = 32e3; bytes < 300e6; bytes *= 3) {
    const auto floats = static_cast<std::size_t>(bytes / 12);
    const std::size_t share = floats / threads / 16 * 16;
    Buffer a(floats + 16);
    Buffer b(floats + 16);
    Buffer c(floats + 16);
    const int passes = std::max(1, static_cast<int>(30e6 / bytes));
    bandwidths_[bytes] = speed(12.0 * static_cast<double>(share) * passes, [&](int i) {
      const std::size_t at = i * share;
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

double MachinePeaks::seconds(const plan::Work& work) const {
  const double computing = work.flops / peak_flops_ + work.bf16_flops / peak_bf16_flops_ +
                           work.bf16_depthwise_flops / peak_bf16_vector_flops_;
  return std::max(computing, work.bytes / bandwidth(work.bytes));
}

double step_seconds(const Graph& graph, const std::vector<std::unique_ptr<FusedGroup>>& groups,
                    int images, const MachinePeaks& machine) {
  double seconds = machine.seconds(plan::update_work(graph));
  for (const auto& group : groups) {
    const plan::GroupWork work = group->work();
    seconds += machine.seconds(plan::forward_work(work, images));
    const plan::Work backward = plan::backward_work(work, images);
    if (backward.bytes > 0) seconds += machine.seconds(backward);
  }
  return seconds;
}

}  // namespace renas::cpu
