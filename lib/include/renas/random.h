#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace renas {

/// The counter-based random number generator Philox4x32-10 (Salmon et al., "Parallel random
/// numbers: as easy as 1, 2, 3", SC 2011). Returns 128 random bits that depend on `counter` and
/// `key` alone.
std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

/// The purpose of a stream of random numbers. Streams of different purposes never overlap.
enum class Purpose : uint8_t {
  kUser,
  kSearch,
  kController,
  kChild,
  kSplit,
  kShuffle,
  kAugment,
  kInitialize,
  kMask,
  kNoise,
  kRetrain,
};

/// A stream of random numbers: a pure function of (seed, purpose, id) and of how many numbers were
/// drawn. The numbers are the same on every platform and compiler, so that equal seeds give equal
/// runs; but for those of normal(), whose last bits follow the C library's log and cos.
class Random {
 public:
  /// The complete state of a stream. A stream that is constructed from a state continues where the
  /// saved one stood.
  struct State {
    uint64_t seed = 0;
    uint64_t stream = 0;
    uint64_t position = 0;
    bool operator==(const State&) const = default;
  };

  /// Opens stream number `id` of `purpose`; ids go up to 2^56 - 1.
  explicit Random(uint64_t seed, Purpose purpose = Purpose::kUser, uint64_t id = 0);
  explicit Random(const State& state);

  State state() const { return state_; }

  uint32_t bits();                          ///< 32 uniform bits
  uint64_t bits64();                        ///< 64 uniform bits
  double uniform();                         ///< a uniform number in [0, 1), of 53 bits
  double uniform(double low, double high);  ///< a uniform number in [low, high)
  uint64_t below(uint64_t n);               ///< an unbiased uniform integer in 0 .. n-1; n >= 1
  double normal();  ///< a normal number of mean 0, standard deviation 1 (Box-Muller)

  /// Shuffles `values` uniformly (Fisher-Yates).
  template <class T>
  void shuffle(std::vector<T>& values) {
    for (std::size_t i = values.size(); i > 1; --i) {
      std::swap(values[i - 1], values[below(i)]);
    }
  }

 private:
  State state_;
  std::array<uint32_t, 4> block_{};      // the last Philox block, once one was drawn
  uint64_t block_index_ = ~uint64_t{0};  // number of that block in the stream
};

}  // namespace renas
