#pragma once

#include <algorithm>

#include "backend/cpu/program.h"

namespace renas::cpu {

/// The first picture of range i of `areas`, of `count` pictures. Ranges at both ends are short, so
/// that threads that go from the middle outwards end together.
inline int first_image(int i, int areas, int count) {
  static constexpr int kBefore[kImageRanges + 1] = {0,  1,  3,  6,  10, 15, 20, 26, 32,
                                                    38, 44, 49, 54, 58, 61, 63, 64};
  if (count < kBefore[kImageRanges]) return i * count / areas;
  return static_cast<int>(int64_t{count} * kBefore[i] / kBefore[kImageRanges]);
}

template <class Task>
int CpuProgram::for_each_image_range(const Task& task) {
  const int areas = std::min(kImageRanges, staging_.count);
  threads_.run(areas, [&](int at, int thread) {
    const int i = at < areas / 2 ? areas / 2 - 1 - at : at;
    task(first_image(i, areas, staging_.count), first_image(i + 1, areas, staging_.count), i,
         thread);
  });
  return areas;
}

}  // namespace renas::cpu
