#pragma once

#include <boost/test/unit_test.hpp>
#include <mutex>

namespace renas::test {

inline std::mutex& assertion_mutex() {
  static std::mutex mutex;
  return mutex;
}

}  // namespace renas::test

/// BOOST_TEST for several threads at once: Boost.Test's assertions are for one at a time. The
/// condition is computed before, and may wait for the other threads.
#define BOOST_TEST_IN_THREAD(...)                               \
  do {                                                          \
    const bool holds = static_cast<bool>(__VA_ARGS__);          \
    const std::lock_guard lock(renas::test::assertion_mutex()); \
    BOOST_TEST(holds, #__VA_ARGS__);                            \
  } while (false)
