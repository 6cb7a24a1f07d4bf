#include "values16.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <numeric>

#include "renas/error.h"

namespace renas::prep {
namespace {

std::optional<int> number(const std::string& text) {
  int value = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, failure] = std::from_chars(text.data(), end, value);
  if (failure != std::errc() || rest != end || value < 0 || value > 65535) return {};
  return value;
}

}  // namespace

Choice16 parse_choice_16(const std::string& text) {
  if (text.empty()) return {};
  if (text == "upper-byte") return {Choice16::Kind::kUpperByte, {}};
  if (text == "whole-set") return {Choice16::Kind::kWholeSet, {}};
  const auto colon = text.find(':');
  if (colon != std::string::npos) {
    const std::optional<int> low = number(text.substr(0, colon));
    const std::optional<int> high = number(text.substr(colon + 1));
    if (low && high && *low < *high) return {Choice16::Kind::kRange, {*low, *high}};
  }
  throw InvalidInput(
      fmt::format("'{}': expected whole-set, upper-byte, or LOW:HIGH with whole numbers from 0 to "
                  "65535, as in 0:4095",
                  text));
}

void Values16::add(std::span<const uint16_t> values) {
  if (values.empty()) return;
  ++images_;
  for (const uint16_t value : values) ++counts_[value];
}

Range16 Values16::range() const {
  const auto is_used = [](int64_t count) { return count > 0; };
  const auto low = std::find_if(counts_.begin(), counts_.end(), is_used) - counts_.begin();
  const auto high = counts_.rend() - std::find_if(counts_.rbegin(), counts_.rend(), is_used) - 1;
  Range16 range{static_cast<int>(low), static_cast<int>(high)};
  if (range.low == range.high) (range.high < 65535 ? ++range.high : --range.low);
  return range;
}

int Values16::levels() const {
  return static_cast<int>(
      std::count_if(counts_.begin(), counts_.end(), [](int64_t count) { return count > 0; }));
}

int Values16::upper_bytes() const {
  int used = 0;
  for (int upper = 0; upper < 256; ++upper) {
    const auto begin = counts_.begin() + upper * 256;
    used += std::any_of(begin, begin + 256, [](int64_t count) { return count > 0; }) ? 1 : 0;
  }
  return used;
}

bool Values16::loses_levels() const {
  if (images_ == 0 || levels() == upper_bytes()) return false;
  const Range16 used = range();
  return used.high - used.low + 1 < 32768 || upper_bytes() < 64;
}

int Values16::quantile(double share) const {
  const auto all = static_cast<double>(std::accumulate(counts_.begin(), counts_.end(), int64_t{0}));
  int64_t below = 0;
  for (int value = 0; value < 65535; ++value) {
    below += counts_[value];
    if (static_cast<double>(below) >= share * all && below > 0) return value;
  }
  return 65535;
}

std::string Values16::text() const {
  const Range16 used = range();
  return fmt::format(
      "values from {} to {}, 99 % of them from {} to {}; their upper byte keeps {} of {} grey "
      "levels",
      used.low, used.high, quantile(0.005), quantile(0.995), upper_bytes(), levels());
}

}  // namespace renas::prep
