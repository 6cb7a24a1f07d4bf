#pragma once

#include "cluster/run_setup.h"
#include "renas/search_run.h"
#include "renas/transport.h"

namespace renas {

/// Does what the coordinator asks of this rank until it says stop. Returns then; whatever fails is
/// reported to the coordinator, which decides.
void run_worker(const RunSetup& setup, Transport& transport, const SearchRunHooks& hooks);

/// Says that this rank cannot take part, and waits until it is told to stop.
void report_failure(Transport& transport, const std::exception& failure, const std::string& task);

}  // namespace renas
