#pragma once

#include <hwy/base.h>

#include <cstddef>

#include "backend/cpu/kernels/args.h"

namespace renas::cpu {

/// Prefetches the next tile's inputs and outputs, a few cache lines at a time between pieces of
/// work on the current one. A core tracks about twenty outstanding misses; issuing all prefetches
/// at once would stall as if there were none.
class Prefetcher {
 public:
  /// Memory ranges of a tile; what exceeds them is left to the processor's own prefetchers.
  static constexpr int kMaxRanges = 24;

  /// Adds `count` numbers of a map from number `first` on.
  HWY_INLINE void add(const MapData& data, std::size_t first, std::size_t count) {
    if (count_ == kMaxRanges) return;
    const std::size_t bytes = data.bytes(count);
    at_[count_] = data.from(first).as<const char>();
    end_[count_] = at_[count_] + bytes;
    ++count_;
    lines_left_ += bytes / static_cast<std::size_t>(kLine) + 1;
  }
  /// Spreads the added ranges over `pieces` calls of issue().
  HWY_INLINE void spread(int pieces) {
    lines_ = static_cast<int>(lines_left_) / (pieces > 0 ? pieces : 1) + 1;
    if (lines_ > kMaxLines) lines_ = kMaxLines;
  }
  HWY_INLINE void clear() {
    count_ = 0;
    now_ = 0;
    lines_left_ = 0;
    lines_ = kMaxLines;
  }
  /// Issues the next share of the prefetches.
  HWY_INLINE void issue() {
    for (int left = lines_; left > 0 && now_ < count_;) {
      // Kept in registers: a loop over at_[now_] itself would wait for each store.
      const char* p = at_[now_];
      const std::ptrdiff_t rest = (end_[now_] - p + kLine - 1) / kLine;
      const int take = rest < left ? static_cast<int>(rest) : left;
      for (int i = 0; i < take; ++i, p += kLine) __builtin_prefetch(p, 0, 2);
      at_[now_] = p;
      left -= take;
      if (take == rest) ++now_;
    }
  }

 private:
  static constexpr int kMaxLines = 20;
  static constexpr std::ptrdiff_t kLine = 64;  // bytes of a cache line
  const char* at_[kMaxRanges] = {};
  const char* end_[kMaxRanges] = {};
  int count_ = 0;
  int now_ = 0;
  int lines_ = kMaxLines;
  std::size_t lines_left_ = 0;
};

}  // namespace renas::cpu
