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
  /// in cache. A thread that finishes early steals tasks that others have not started, and a thread
  /// that the system does not let run holds up nothing but a task that it has started. Tasks must
  /// not throw.
  void run(int tasks, const std::function<void(int, int)>& task);

 private:
  void work(int thread);
  void take_tasks(int thread);

  /// The tasks of one thread that no thread has started: `end` in the upper half, the next task in
  /// the lower. One addition takes a task and reads the end that belongs to it, so a thread that
  /// comes late, even in the midst of another run, takes a task of that run or none.
  struct alignas(64) Share {
    std::atomic<uint64_t> end_and_next{0};
  };

  std::vector<std::thread> workers_;
  std::vector<Share> shares_;  // by thread
  // Of the run whose tasks are not all done. Who has taken a task may read it.
  const std::function<void(int, int)>* task_ = nullptr;
  int tasks_ = 0;
  std::atomic<int> done_{0};        // tasks of the run that are done
  std::atomic<uint32_t> round_{0};  // of run(): wakes the workers
  std::atomic<bool> stop_{false};
};

}  // namespace renas::cpu
