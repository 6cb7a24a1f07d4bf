#pragma once

#include <chrono>
#include <functional>
#include <thread>

#include "renas/error.h"

namespace renas {

/// Calls `work`, which reads or writes a file, and where it throws IoError three times again, over
/// `patience` seconds: network file systems fail for moments. `on_failure` hears of each failure
/// that is followed by another try. `stop` may end the waiting early. Throws what the last try
/// threw.
template <class Work>
auto retrying(const Work& work, double patience,
              const std::function<void(const IoError&)>& on_failure,
              const std::function<bool()>& stop = nullptr) {
  using namespace std::chrono_literals;
  for (const double share : {0.02, 0.18, 0.8}) {
    try {
      return work();
    } catch (const IoError& e) {
      if (stop && stop()) throw;
      if (on_failure) on_failure(e);
      const auto until =
          std::chrono::steady_clock::now() + std::chrono::duration<double>(share * patience);
      while (std::chrono::steady_clock::now() < until && !(stop && stop())) {
        std::this_thread::sleep_for(10ms);
      }
    }
  }
  return work();
}

}  // namespace renas
