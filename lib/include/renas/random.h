#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace renas {

/// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011):
/// 128 random bits that depend on nothing but `counter` and `key`.
std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

/// What a stream of random numbers is for. Streams of different purposes never overlap.
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
  kRetrain
};

/// A stream of random numbers: a pure function of (seed, purpose, id) and of how many numbers
/// were drawn. Equal on every platform and compiler, so equal seeds give equal runs.
class Random {
 public:
  /// All there is to a stream; write it down to go on later.
  struct State {
    uint64_t seed = 0;
    uint64_t stream = 0;
    uint64_t position = 0;
    bool operator==(const State&) const = default;
  };

  /// The stream number `id` of `purpose`; ids up to 2^56 - 1.
  explicit Random(uint64_t seed, Purpose purpose = Purpose::kUser, uint64_t id = 0);
  explicit Random(const State& state);

  State state() const { return state_; }

  uint32_t bits();    ///< 32 uniform bits
  uint64_t bits64();  ///< 64 uniform bits
  double uniform();   ///< [0, 1), 53 bits
  double uniform(double low, double high);
  uint64_t below(uint64_t n);  ///< 0 .. n-1, unbiased; n >= 1
  double normal();             ///< mean 0, standard deviation 1 (Box-Muller)

  /// Fisher-Yates.
  template <class T>
  void shuffle(std::vector<T>& values) {
    for (std::size_t i = values.size(); i > 1; --i) {
      std::swap(values[i - 1], values[below(i)]);
    }
  }

 private:
  State state_;
  std::array<uint32_t, 4> block_{};  // the block that holds `position`, where filled
  uint64_t block_index_ = ~uint64_t{0};
};

}  // namespace renas
