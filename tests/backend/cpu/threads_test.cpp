// The threads of a program of the cpu backend.

#include "backend/cpu/threads.h"

#include <pthread.h>

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <csignal>
#include <ctime>
#include <thread>
#include <vector>

using renas::cpu::Threads;

namespace {

// A thread that the system does not let run, as on a machine with other work: this handler of a
// signal keeps it, until it is released or half a minute is over.
std::atomic<bool> held{false};
std::atomic<bool> released{false};

void hold(int) {
  held = true;
  const timespec millisecond{0, 1000000};
  for (int i = 0; i < 30000 && !released; ++i) nanosleep(&millisecond, nullptr);
  held = false;
}

}  // namespace

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

BOOST_AUTO_TEST_CASE(a_thread_that_does_not_get_to_run_holds_up_nothing) {
  Threads team(2);
  pthread_t worker{};
  std::atomic<int> begun = 0;
  team.run(2, [&](int, int thread) {
    if (thread == 1) worker = pthread_self();
    ++begun;
    while (begun != 2) {
    }
  });
  struct sigaction action {};
  struct sigaction before {};
  action.sa_handler = hold;
  sigaction(SIGUSR2, &action, &before);
  released = false;
  BOOST_TEST_REQUIRE(pthread_kill(worker, SIGUSR2) == 0);
  while (!held) {
  }
  int done = 0;
  for (int round = 0; round < 100; ++round) {
    team.run(8, [&](int, int) { ++done; });  // this thread alone
  }
  BOOST_TEST(done == 800);
  BOOST_TEST(held);  // nobody has waited for it
  released = true;
  while (held) {
  }
  sigaction(SIGUSR2, &before, nullptr);
}

BOOST_AUTO_TEST_CASE(a_thread_that_comes_late_takes_tasks_of_the_run_it_meets_or_none) {
  // Many more threads than cores, runs that are over before most have woken, and each run's task
  // gone with it.
  Threads team(12);
  for (int round = 0; round < 100; ++round) {
    const int tasks = 2 + round % 7;
    std::vector<std::atomic<int>> runs(static_cast<std::size_t>(tasks));
    std::atomic<bool> beyond = false;
    team.run(tasks, [&](int i, int) {
      if (i < 0 || i >= tasks) beyond = true;
      if (!beyond) ++runs[static_cast<std::size_t>(i)];
      std::this_thread::yield();  // the others wake, some too late
    });
    BOOST_TEST_REQUIRE(!beyond);
    for (const std::atomic<int>& times : runs) BOOST_TEST_REQUIRE(times == 1);
  }
}

BOOST_AUTO_TEST_SUITE_END()
