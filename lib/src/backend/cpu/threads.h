#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

namespace renas::cpu {

/// The thread pool of one program. It does not use OpenMP: OpenMP's settings belong to the caller,
/// its threads spin, and two ranks that spin on one core lose milliseconds at each barrier. The
/// threads of this pool spin for some microseconds, then sleep.
class Threads {
 public:
  /// Starts count - 1 threads; the calling thread is the remaining one.
  explicit Threads(int count);
  ~Threads();
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

  int count() const { return static_cast<int>(workers_.size()) + 1; }

  /// Calls task(i, thread) for i = 0 .. tasks - 1, each once, and returns when all are done. Tasks
  /// are divided among the threads in the same way on every call, so a thread finds its data still
  /// in cache. A thread that finishes early steals tasks that others have not started. Tasks must
  /// not throw.
  void run(int tasks, const std::function<void(int, int)>& task);

 private:
  void work(int thread);
  void take_tasks(int thread);

  /// The tasks of one thread that no thread has started: [next, end).
  struct alignas(64) Share {
    std::atomic<int> next{0};
    int end = 0;
  };

  std::vector<std::thread> workers_;
  std::vector<Share> shares_;  // by thread
  const std::function<void(int, int)>* task_ = nullptr;
  std::atomic<int> busy_{0};
  std::atomic<uint32_t> round_{0};
  std::atomic<bool> stop_{false};
};

}  // namespace renas::cpu
