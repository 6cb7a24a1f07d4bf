#pragma once

#include <algorithm>

#include "backend/onednn/program.h"

namespace renas::onednn {

template <class Task>
int CpuProgram::over_pictures(const Task& task) {
  const int areas = std::min(kAreas, staging_.count);
  threads_.run(areas, [&](int i, int thread) {
    task(i * staging_.count / areas, (i + 1) * staging_.count / areas, i, thread);
  });
  return areas;
}

}  // namespace renas::onednn
