#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

namespace renas::cpu {

/// The threads of one program. Not OpenMP: its settings belong to the caller, its threads spin, and
/// two ranks that spin on one core lose milliseconds at each barrier. These spin for some
/// microseconds, then sleep.
class Threads {
 public:
  /// The caller's thread is one of `count`.
  explicit Threads(int count);
  ~Threads();
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

  int count() const { return static_cast<int>(workers_.size()) + 1; }

  /// Calls task(i, thread) for i = 0 .. tasks - 1, each once, and returns when all are done. Every
  /// thread begins with its own part of them, the same in every call, whose data its caches may
  /// hold; when it is through it takes over what the others have not begun. Tasks must not throw.
  void run(int tasks, const std::function<void(int, int)>& task);

 private:
  void work(int thread);
  void take(int thread);

  /// A thread's part: tasks [next, end).
  struct alignas(64) Part {
    std::atomic<int> next{0};
    int end = 0;
  };

  std::vector<std::thread> workers_;
  std::vector<Part> parts_;  // of each thread
  const std::function<void(int, int)>* task_ = nullptr;
  std::atomic<int> busy_{0};
  std::atomic<uint32_t> round_{0};
  std::atomic<bool> stop_{false};
};

}  // namespace renas::cpu
