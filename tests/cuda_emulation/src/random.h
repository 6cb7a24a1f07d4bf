#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

namespace emulation {

/// xorshift64*: the orders of the emulated machine, from one seed.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15U + 0x632be59bd9b4e019U) {}
  /// Less than `bound`.
  std::size_t below(std::size_t bound) {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    const auto high = static_cast<std::uint32_t>((state_ * 0x2545f4914f6cdd1dU) >> 32);
    return static_cast<std::size_t>((static_cast<std::uint64_t>(high) * bound) >> 32);
  }
  template <class T>
  void shuffle(T* first, std::size_t size) {
    for (std::size_t i = size; i > 1; --i) std::swap(first[i - 1], first[below(i)]);
  }

 private:
  std::uint64_t state_;
};

}  // namespace emulation
