#pragma once

#include <string>

/// Shows how a run stands, anew every `seconds`, until it is finished or a signal comes: on a
/// terminal in place, else a paragraph for each change. Reads the run's files only, so it may look
/// on from any machine that sees them. Returns an exit code.
int watch_run(const std::string& folder, double seconds);
