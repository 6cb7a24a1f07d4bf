#include "backend/cpu/threads.h"

namespace renas::cpu {

namespace {

constexpr int kSpins = 4000;  // about 20 microseconds

inline void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}

/// Waits until `value` is no longer `old`.
template <class T>
void await_change(const std::atomic<T>& value, T old) {
  for (int i = 0; i < kSpins; ++i) {
    if (value.load(std::memory_order_acquire) != old) return;
    pause();
  }
  value.wait(old, std::memory_order_acquire);
}

}  // namespace

Threads::Threads(int count) : shares_(static_cast<std::size_t>(count)) {
  for (int t = 1; t < count; ++t) workers_.emplace_back([this, t] { work(t); });
}

Threads::~Threads() {
  stop_.store(true);
  round_.fetch_add(1);
  round_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void Threads::run(int tasks, const std::function<void(int, int)>& task) {
  if (workers_.empty() || tasks <= 1) {
    for (int i = 0; i < tasks; ++i) task(i, 0);
    return;
  }
  task_ = &task;
  tasks_ = tasks;
  done_.store(0, std::memory_order_relaxed);
  for (int t = 0; t < count(); ++t) {
    const auto first = static_cast<uint64_t>(int64_t{t} * tasks / count());
    const auto end = static_cast<uint64_t>((int64_t{t} + 1) * tasks / count());
    // From here on a worker that is still awake may take tasks.
    shares_[static_cast<std::size_t>(t)].end_and_next.store(end << 32 | first,
                                                            std::memory_order_release);
  }
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  take_tasks(0);
  for (int done = done_.load(std::memory_order_acquire); done != tasks;
       done = done_.load(std::memory_order_acquire)) {
    await_change(done_, done);
  }
}

void Threads::take_tasks(int thread) {
  for (int other = 0; other < count(); ++other) {
    std::atomic<uint64_t>& share =
        shares_[static_cast<std::size_t>((thread + other) % count())].end_and_next;
    while (true) {
      const uint64_t taken = share.fetch_add(1, std::memory_order_acq_rel);
      const auto task = static_cast<uint32_t>(taken);
      if (task >= taken >> 32) break;
      const int tasks = tasks_;  // of this run, which cannot end before this task
      (*task_)(static_cast<int>(task), thread);
      if (done_.fetch_add(1, std::memory_order_acq_rel) + 1 == tasks) done_.notify_all();
    }
  }
}

void Threads::work(int thread) {
  uint32_t round = 0;
  while (true) {
    await_change(round_, round);
    round = round_.load(std::memory_order_acquire);  // runs that went by without it are done
    if (stop_.load()) return;
    take_tasks(thread);
  }
}

}  // namespace renas::cpu
