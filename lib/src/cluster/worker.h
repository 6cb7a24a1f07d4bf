#pragma once

#include "cluster/run_setup.h"
#include "renas/search_run.h"
#include "renas/transport.h"

namespace renas {

/// Does what the coordinator asks of this rank until it says stop. Returns then; whatever fails is
/// reported to the coordinator, which decides. Throws CoordinatorLost.
void run_worker(Backend& backend, const RunSetup& setup, Transport& transport,
                const SearchRunHooks& hooks);

/// Says that this rank cannot take part, and waits until it is told to stop. Throws
/// CoordinatorLost.
void report_failure(const SearchRunOptions& options, Transport& transport,
                    const std::exception& failure);

}  // namespace renas
