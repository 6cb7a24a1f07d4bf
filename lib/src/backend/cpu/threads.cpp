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
  if (workers_.empty() || tasks == 1) {
    for (int i = 0; i < tasks; ++i) task(i, 0);
    return;
  }
  task_ = &task;
  for (int t = 0; t < count(); ++t) {
    Share& share = shares_[static_cast<std::size_t>(t)];
    share.next.store(t * tasks / count(), std::memory_order_relaxed);
    share.end = (t + 1) * tasks / count();
  }
  busy_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  take_tasks(0);
  for (int left = busy_.load(std::memory_order_acquire); left != 0;
       left = busy_.load(std::memory_order_acquire)) {
    await_change(busy_, left);
  }
}

void Threads::take_tasks(int thread) {
  for (int other = 0; other < count(); ++other) {
    Share& share = shares_[static_cast<std::size_t>((thread + other) % count())];
    for (int i = share.next.fetch_add(1); i < share.end; i = share.next.fetch_add(1)) {
      (*task_)(i, thread);
    }
  }
}

void Threads::work(int thread) {
  uint32_t round = 0;
  while (true) {
    await_change(round_, round);
    if (stop_.load()) return;
    ++round;
    take_tasks(thread);
    if (busy_.fetch_sub(1, std::memory_order_acq_rel) == 1) busy_.notify_all();
  }
}

}  // namespace renas::cpu
