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

template <class Task>
void CpuProgram::in_pieces(std::size_t count, const Task& task) {
  constexpr std::size_t kFew = 2048;  // not worth waking a thread
  const std::size_t pieces = count < kFew ? 1 : static_cast<std::size_t>(threads_.count());
  if (count == 0) return;
  threads_.run(static_cast<int>(pieces), [&](int piece, int) {
    const auto i = static_cast<std::size_t>(piece);
    task(i * count / pieces, (i + 1) * count / pieces);
  });
}

}  // namespace renas::onednn
