#pragma once

#include <algorithm>
#include <cstdint>

#include "backend/cpu/threads.h"

namespace renas::cpu {

/// The batch is split into this many image ranges, each with its own partial sums, which are added
/// in a fixed order: results do not depend on the number of threads. More ranges balance more
/// threads and cost one weight-gradient buffer each.
inline constexpr int kImageRanges = 16;

/// Images [first, last) of the batch, computed by one thread.
struct ImageRange {
  int first = 0;
  int last = 0;
  int index = 0;   // of the range: which partial sums are its own
  int thread = 0;  // whose scratch memory it may use
};

/// The first image of range i of `ranges`, of `count` images. The ranges at both ends are short.
/// Since threads work from the middle outwards, they end at about the same time.
inline int first_image(int i, int ranges, int count) {
  static constexpr int kBefore[kImageRanges + 1] = {0,  1,  3,  6,  10, 15, 20, 26, 32,
                                                    38, 44, 49, 54, 58, 61, 63, 64};
  if (count < kBefore[kImageRanges]) return i * count / ranges;
  return static_cast<int>(int64_t{count} * kBefore[i] / kBefore[kImageRanges]);
}

/// Calls task(ImageRange) for the image ranges of a batch of `count` and returns their number. The
/// ranges depend on `count` alone, and each thread begins with the same ones in every call.
template <class Task>
int for_each_image_range(Threads& threads, int count, const Task& task) {
  const int ranges = std::min(kImageRanges, count);
  threads.run(ranges, [&](int at, int thread) {
    const int i = at < ranges / 2 ? ranges / 2 - 1 - at : at;
    task(ImageRange{first_image(i, ranges, count), first_image(i + 1, ranges, count), i, thread});
  });
  return ranges;
}

}  // namespace renas::cpu
