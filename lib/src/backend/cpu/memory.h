#pragma once

#include <cstddef>
#include <memory>
#include <mutex>

namespace renas::cpu {

/// Floats at 64-byte boundaries, zero at first if `clear`. Throws OutOfMemory.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t size, bool clear = true);
  float* data() const { return data_.get(); }
  std::size_t size() const { return size_; }

 private:
  struct Free {
    void operator()(float* p) const;
  };
  std::unique_ptr<float, Free> data_;
  std::size_t size_ = 0;
};

/// The arena of a program that is gone, for the next one: the system takes as long to hand out
/// pages and clear them as a child's first step computes. It keeps one buffer, the larger of two,
/// so a process never holds more than what it once used. For programs of several threads.
class ArenaCache {
 public:
  /// At least `size` floats, whatever they are. Throws OutOfMemory.
  Buffer take(std::size_t size);
  void put_back(Buffer buffer);

 private:
  std::mutex mutex_;
  Buffer kept_;
};

}  // namespace renas::cpu
