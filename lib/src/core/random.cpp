#include "renas/random.h"

#include <cmath>
#include <numbers>

namespace renas {

std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53} * counter[0];
    const uint64_t b = uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(b),
               static_cast<uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(a)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
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
