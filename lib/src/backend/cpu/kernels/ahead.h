#pragma once

#include <hwy/base.h>

#include <cstddef>

#include "backend/cpu/kernels/args.h"

namespace renas::cpu {

/// Asks for what the next tile reads and writes, a few lines at a time between pieces of work: the
/// processor has room for some twenty misses, and all at once would wait like none asked for.
class Ahead {
 public:
  static constexpr int kMost = 24;  // ranges; more are left to the processor's own prefetchers

  HWY_INLINE void add(const Cells& cells, std::size_t first, std::size_t count) {
    if (count_ == kMost) return;
    const std::size_t bytes = cells.bytes(count);
    at_[count_] = cells.from(first).as<const char>();
    end_[count_] = at_[count_] + bytes;
    ++count_;
    lines_left_ += bytes / static_cast<std::size_t>(kLine) + 1;
  }
  /// Spreads what was added over `pieces` calls of some().
  HWY_INLINE void spread(int pieces) {
    lines_ = static_cast<int>(lines_left_) / (pieces > 0 ? pieces : 1) + 1;
    if (lines_ > kLines) lines_ = kLines;
  }
  HWY_INLINE void clear() {
    count_ = 0;
    now_ = 0;
    lines_left_ = 0;
    lines_ = kLines;
  }
  HWY_INLINE void some() {
    for (int left = lines_; left > 0 && now_ < count_;) {
      // In registers: a loop over at_[now_] itself would wait for each store.
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
  static constexpr int kLines = 20;
  static constexpr std::ptrdiff_t kLine = 64;  // bytes
  const char* at_[kMost] = {};
  const char* end_[kMost] = {};
  int count_ = 0;
  int now_ = 0;
  int lines_ = kLines;
  std::size_t lines_left_ = 0;
};

}  // namespace renas::cpu
