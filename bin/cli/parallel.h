#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace renas::cli {

/// Runs work(i) for i in 0 .. count - 1 on `threads` threads and gives each result to take(i,
/// result) in order, in the caller's thread. At most 8 results per thread wait to be taken. The
/// first exception in order, of `work` or of `take`, ends the loop and is thrown.
template <class Result, class Work, class Take>
void in_order(int64_t count, int threads, const Work& work, const Take& take) {
  struct Slot {
    std::optional<Result> result;
    std::exception_ptr failure;
    bool ready = false;
  };
  std::vector<Slot> slots(static_cast<std::size_t>(threads) * 8);
  const auto slot_count = static_cast<int64_t>(slots.size());
  std::mutex mutex;
  std::condition_variable room;
  std::condition_variable done;
  int64_t next = 0;  // to be worked on
  int64_t taken = 0;
  bool stopping = false;
  const auto run = [&] {
    std::unique_lock lock(mutex);
    while (true) {
      room.wait(lock, [&] { return stopping || next >= count || next < taken + slot_count; });
      if (stopping || next >= count) return;
      const int64_t i = next++;
      lock.unlock();
      Slot filled;
      try {
        filled.result.emplace(work(i));
      } catch (...) {
        filled.failure = std::current_exception();
      }
      filled.ready = true;
      lock.lock();
      slots[i % slot_count] = std::move(filled);
      done.notify_one();
    }
  };
  std::vector<std::thread> pool;
  const auto finish = [&] {
    {
      const std::lock_guard lock(mutex);
      stopping = true;
    }
    room.notify_all();
    for (std::thread& thread : pool) thread.join();
  };
  try {
    for (int i = 0; i < threads; ++i) pool.emplace_back(run);
    for (int64_t i = 0; i < count; ++i) {
      std::unique_lock lock(mutex);
      Slot& slot = slots[i % slot_count];
      done.wait(lock, [&] { return slot.ready; });
      Slot mine = std::move(slot);
      slot = Slot();
      ++taken;
      lock.unlock();
      room.notify_all();
      if (mine.failure) std::rethrow_exception(mine.failure);
      take(i, std::move(*mine.result));
    }
  } catch (...) {
    finish();
    throw;
  }
  finish();
}

}  // namespace renas::cli
