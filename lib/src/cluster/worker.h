#pragma once

#include "cluster/run_setup.h"
#include "renas/search_run.h"
#include "renas/transport.h"

namespace renas {

/// Does what the coordinator asks of this rank until it says stop. Returns then; whatever fails is
/// reported to the coordinator, which decides.
void run_worker(const SearchRunOptions& options, Transport& transport, const SearchRunHooks& hooks);

}  // namespace renas
