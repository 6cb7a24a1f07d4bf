#include "cluster/ranks.h"

#include <fmt/format.h>

#include <exception>
#include <thread>

#include "cluster/coordinator.h"
#include "cluster/coordinator_connection.h"
#include "cluster/worker.h"

namespace renas {
namespace {

void say_device(const Backend& backend, const Device& device, const Log& log) {
  if (!log) return;
  log(LogLevel::kInfo, fmt::format("backend: {}, {}", backend.description(),
                                   to_string(backend.precision(device.precision))));
  const std::string reason = device.backend == "auto" ? why_no_gpu() : "";
  if (!reason.empty()) log(LogLevel::kInfo, "no GPU: " + reason);
  if (backend.precision(device.precision) != device.precision) {
    log(LogLevel::kWarning, fmt::format("backend {} has no {}; using float32", backend.name(),
                                        to_string(device.precision)));
  }
}

}  // namespace

void run_first_rank(FirstRank& first, const std::function<void(FirstRank&)>& prepare,
                    Transport& transport, const SearchRunHooks& hooks) {
  try {
    prepare(first);
    say_device(*first.backend, first.setup->options.child.device, hooks.log);
  } catch (...) {
    for (int r = 1; r < transport.ranks(); ++r) transport.send_to_worker(r, encode(Task{}));
    throw;
  }
  Coordinator coordinator(*first.setup, *first.queue, transport, hooks);
  std::exception_ptr failure;
  {
    const std::jthread coordinating([&] {
      try {
        first.silent_ranks = coordinator.run();
      } catch (...) {
        failure = std::current_exception();
      }
    });
    run_worker(*first.backend, *first.setup, transport, hooks);
  }
  if (failure) std::rethrow_exception(failure);
}

int run_other_rank(const SearchRunOptions& options, const std::function<RunSetup()>& make_setup,
                   Transport& transport, const SearchRunHooks& hooks) {
  try {
    std::optional<RunSetup> setup;
    std::unique_ptr<Backend> backend;
    try {
      backend = make_backend(options.child.device);
      setup = make_setup();
    } catch (const std::exception& e) {
      report_failure(options, transport, e);
      return 0;
    }
    run_worker(*backend, *setup, transport, hooks);
    return 0;
  } catch (const CoordinatorLost& e) {
    if (hooks.log) hooks.log(LogLevel::kError, e.what());
    if (hooks.silent_ranks != nullptr) *hooks.silent_ranks = 1;
    return 1;
  }
}

}  // namespace renas
