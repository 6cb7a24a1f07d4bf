#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "cluster/run_setup.h"
#include "cluster/work_queue.h"
#include "renas/backend.h"
#include "renas/search_run.h"
#include "renas/transport.h"

namespace renas {

/// What rank 0 works with.
struct FirstRank {
  std::unique_ptr<Backend> backend;
  std::optional<RunSetup> setup;
  std::unique_ptr<WorkQueue> queue;  ///< refers to `setup`
  int silent_ranks = 0;              ///< SearchRunResult::silent_ranks
};

/// Prepares `first`, does its queue's work on all ranks, and returns when it is done or a stop was
/// asked for: the coordinator in a thread of its own, a worker in this one. Where `prepare` throws,
/// the other ranks are told to stop.
void run_first_rank(FirstRank& first, const std::function<void(FirstRank&)>& prepare,
                    Transport& transport, const SearchRunHooks& hooks);

/// The part of another rank, which computes by `options.child.device`. Returns the number of silent
/// ranks: 1 where that is rank 0.
int run_other_rank(const SearchRunOptions& options, const std::function<RunSetup()>& make_setup,
                   Transport& transport, const SearchRunHooks& hooks);

}  // namespace renas
