// The threads of a program of the cpu backend.

#include "backend/cpu/threads.h"

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <vector>

using renas::cpu::Threads;

BOOST_AUTO_TEST_SUITE(threads)

BOOST_AUTO_TEST_CASE(every_task_runs_once) {
  for (const int count : {1, 2, 3, 5}) {
    Threads team(count);
    for (int round = 0; round < 300; ++round) {
      const int tasks = 1 + round % 37;
      std::vector<std::atomic<int>> runs(tasks);
      std::atomic<bool> strangers = false;
      team.run(tasks, [&](int i, int thread) {
        if (thread < 0 || thread >= count) strangers = true;
        ++runs[i];
      });
      BOOST_TEST(!strangers);
      for (const std::atomic<int>& times : runs) BOOST_TEST_REQUIRE(times == 1);
    }
  }
}

BOOST_AUTO_TEST_CASE(an_idle_thread_steals_unstarted_tasks) {
  // The first task waits until the seven others have begun. Three of them are its own thread's, so
  // the other thread has to steal them.
  Threads team(2);
  std::atomic<int> begun = 0;
  std::atomic<bool> gave_up = false;
  team.run(8, [&](int i, int) {
    ++begun;
    if (i != 0) return;
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (begun != 8 && !gave_up) gave_up = std::chrono::steady_clock::now() > end;
  });
  BOOST_TEST(!gave_up);
  BOOST_TEST(begun == 8);
}

BOOST_AUTO_TEST_SUITE_END()
