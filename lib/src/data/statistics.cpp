#include <cmath>

#include "renas/dataset_writer.h"

namespace renas {

ChannelStatistics::ChannelStatistics(int channels) : sum_(channels), squares_(channels) {}

void ChannelStatistics::add(std::span<const uint8_t> pixels) {
  const std::size_t channels = sum_.size();
  const std::size_t count = pixels.size() / channels;
  for (std::size_t c = 0; c < channels; ++c) {
    uint64_t sum = 0;
    uint64_t squares = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const uint32_t value = pixels[i * channels + c];
      sum += value;
      const uint32_t square = value * value;
      squares += square;
    }
    sum_[c] += sum;
    squares_[c] += squares;
  }
  count_ += static_cast<int64_t>(count);
}

void ChannelStatistics::add(const ChannelStatistics& other) {
  for (std::size_t c = 0; c < sum_.size(); ++c) {
    sum_[c] += other.sum_[c];
    squares_[c] += other.squares_[c];
  }
  count_ += other.count_;
}

std::vector<double> ChannelStatistics::mean() const {
  std::vector<double> result;
  for (const uint64_t sum : sum_) {
    result.push_back(count_ == 0 ? 0
                                 : static_cast<double>(sum) / static_cast<double>(count_) / 255.0);
  }
  return result;
}

std::vector<double> ChannelStatistics::sd() const {
  std::vector<double> result;
  for (std::size_t c = 0; c < sum_.size(); ++c) {
    const auto n = static_cast<double>(count_);
    const double mean = count_ == 0 ? 0 : static_cast<double>(sum_[c]) / n;
    const double variance = count_ == 0 ? 0 : static_cast<double>(squares_[c]) / n - mean * mean;
    // A standard deviation of 1 normalises a constant channel to 0, not to infinity.
    result.push_back(variance > 1e-9 ? std::sqrt(variance) / 255.0 : 1.0);
  }
  return result;
}

}  // namespace renas
