#pragma once

#include <cstddef>
#include <memory>
#include <mutex>

namespace renas::cpu {

/// Rounds a number of floats up to whole cache lines.
inline std::size_t aligned(std::size_t floats) {
  constexpr std::size_t kLine = 16;  // floats
  return (floats + kLine - 1) / kLine * kLine;
}

/// An array of floats that begins at a multiple of 64 bytes. It is zero at first if `clear`. Throws
/// OutOfMemory.
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

/// Keeps the last destroyed program's arena for the next one. Getting fresh zeroed pages from the
/// system takes as long as a child's first training step. The cache keeps one buffer, the larger of
/// two, so a process never holds more than it once used. Several threads may call.
class ArenaCache {
 public:
  /// Returns a buffer of at least `size` floats with arbitrary contents. Throws OutOfMemory.
  Buffer take(std::size_t size);
  void put_back(Buffer buffer);

 private:
  std::mutex mutex_;
  Buffer kept_;
};

}  // namespace renas::cpu
