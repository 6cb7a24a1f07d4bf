#pragma once

#include <algorithm>
#include <utility>

#include "backend/onednn/program.h"

namespace renas::onednn {

template <class Task>
int CpuProgram::over_pictures(const Task& task) {
  const int areas = std::min(kAreas, staging_.count);
  const bool reversed = std::exchange(reversed_, !reversed_);
  threads_.run(areas, [&](int at, int thread) {
    const int i = reversed ? areas - 1 - at : at;
    task(i * staging_.count / areas, (i + 1) * staging_.count / areas, i, thread);
  });
  return areas;
}

}  // namespace renas::onednn
