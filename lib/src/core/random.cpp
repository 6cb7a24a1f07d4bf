#include "renas/random.h"

#include <cmath>
#include <numbers>

#include "core/philox.h"

namespace renas {

std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  uint32_t words[4] = {counter[0], counter[1], counter[2], counter[3]};
  philox_in_place(words, key[0], key[1]);
  return {words[0], words[1], words[2], words[3]};
}

Random::Random(uint64_t seed, Purpose purpose, uint64_t id)
    : state_{seed, (static_cast<uint64_t>(purpose) << 56) | (id & ((uint64_t{1} << 56) - 1)), 0} {}

Random::Random(const State& state) : state_(state) {}

uint32_t Random::bits() {
  const uint64_t block = state_.position / 4;
  if (block != block_index_) {
    block_ =
        philox({static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32),
                static_cast<uint32_t>(state_.stream), static_cast<uint32_t>(state_.stream >> 32)},
               {static_cast<uint32_t>(state_.seed), static_cast<uint32_t>(state_.seed >> 32)});
    block_index_ = block;
  }
  return block_[state_.position++ % 4];
}

uint64_t Random::bits64() {
  const uint64_t high = bits();
  return (high << 32) | bits();
}

double Random::uniform() { return static_cast<double>(bits64() >> 11) * 0x1.0p-53; }

double Random::uniform(double low, double high) { return low + (high - low) * uniform(); }

uint64_t Random::below(uint64_t n) {
  // Rejects the incomplete last range, so that every value is equally likely.
  const uint64_t limit = ~uint64_t{0} - (~uint64_t{0} % n + 1) % n;
  uint64_t value = bits64();
  while (value > limit) value = bits64();
  return value % n;
}

double Random::normal() {
  const double u = 1.0 - uniform();  // (0, 1]
  const double v = uniform();
  return std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * v);
}

}  // namespace renas
