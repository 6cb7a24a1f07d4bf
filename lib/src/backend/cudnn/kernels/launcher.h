#pragma once

#include <cstddef>

#include "backend/cudnn/device.h"
#include "backend/cudnn/kernels/args.h"
#include "backend/cudnn/kernels/launch.h"

namespace renas::cudnn {

/// Loads kernels, so that they can be recorded.
template <class... Kernels>
void preload_all(Kernels... kernels) {
  (check(preload(kernels), "loading a kernel"), ...);
}

/// Launches `kernel` on a grid.
template <class... P, class... A>
void launch_grid(const Launch& to, const Grid& grid, void (*kernel)(P...), A&&... arguments) {
  check(launch(kernel, grid, to.stream, std::forward<A>(arguments)...), "launching a kernel");
}

/// Launches `kernel` with one thread for each of `threads`, in blocks of 256.
template <class... P, class... A>
void launch_threads(const Launch& to, std::size_t threads, void (*kernel)(P...), A&&... arguments) {
  constexpr unsigned kThreads = 256;
  if (threads == 0) return;
  const auto blocks = static_cast<unsigned>((threads + kThreads - 1) / kThreads);
  launch_grid(to, {dim3(blocks), dim3(kThreads), 0}, kernel, std::forward<A>(arguments)...);
}

/// Launches `kernel` with a thread for each eight channels of each pixel of the batch's maps.
template <class... P, class... A>
void launch_places(const Launch& to, const Map& map, void (*kernel)(P...), A&&... arguments) {
  launch_threads(to, static_cast<std::size_t>(to.batch) * map.size() / 8, kernel,
                 std::forward<A>(arguments)...);
}

}  // namespace renas::cudnn
