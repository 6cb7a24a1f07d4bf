#include "cluster/worker.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <thread>

#include "cluster/coordinator_connection.h"
#include "cluster/task_training.h"
#include "core/files.h"

namespace renas {

namespace {

using Clock = CoordinatorConnection::Clock;
/// How long a rank whose files failed waits before it looks at them again; doubled each time.
constexpr Clock::duration kFirstRest = std::chrono::seconds(30);
constexpr Clock::duration kLongestRest = std::chrono::minutes(10);
constexpr auto kLook = std::chrono::milliseconds(2);

/// Whether the rank `rank` can write into the run's folder.
bool can_write(const std::string& folder, int rank) {
  try {
    const std::string probe = fmt::format("{}/retrain/probe-{}", folder, rank);
    write_text(probe, "This file shows that the rank can write here.\n");
    remove_file(probe);
    return true;
  } catch (const IoError&) {
    return false;
  }
}

/// Waits until this rank's files, which have failed, can be written, and looks the more rarely the
/// longer that takes: `rest` doubles. Returns whether the run still goes on.
bool recover(CoordinatorConnection& coordinator, const RunSetup& setup, Clock::duration& rest) {
  while (!coordinator.stopped()) {
    const auto until = Clock::now() + rest;
    rest = std::min(2 * rest, kLongestRest);
    while (!coordinator.interrupted() && Clock::now() < until) std::this_thread::sleep_for(kLook);
    if (coordinator.stopped() || coordinator.stopped_by_user()) break;
    if (can_write(setup.options.folder, coordinator.transport().rank())) return true;
  }
  return false;
}

void work(Backend& backend, const RunSetup& setup, int64_t memory,
          CoordinatorConnection& coordinator) {
  TaskTraining training(backend, setup, memory, coordinator);
  Clock::duration rest = kFirstRest;
  coordinator.say_ready(setup.data_identity);
  while (const std::optional<Task> task = coordinator.next_task()) {
    try {
      training.run(*task);
      rest = kFirstRest;
    } catch (const IoError& e) {
      coordinator.give_back(e.what());  // the task goes to another rank
      if (recover(coordinator, setup, rest)) coordinator.say_ready(setup.data_identity);
    }
  }
}

}  // namespace

void report_failure(const SearchRunOptions& options, Transport& transport,
                    const std::exception& failure) {
  CoordinatorConnection coordinator(transport, options.worker_timeout, nullptr);
  coordinator.give_up(failure);
  coordinator.say_bye();
}

void run_worker(Backend& backend, const RunSetup& setup, Transport& transport,
                const SearchRunHooks& hooks) {
  CoordinatorConnection coordinator(transport, setup.options.worker_timeout, hooks.stop);
  try {
    work(backend, setup, hooks.memory, coordinator);
  } catch (const CoordinatorLost&) {
    throw;
  } catch (const std::exception& e) {
    coordinator.give_up(e);
  }
  coordinator.say_bye();
}

}  // namespace renas
