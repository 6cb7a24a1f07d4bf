#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "renas/evaluation.h"
#include "renas/network.h"

namespace renas::cli {

// Groups of options that several programs share. Each binds the options to a struct whose values
// are the defaults shown by --help; validity is checked on parsing.

/// --network, --cells, --filters, --stem, --concat-c2.
void add_network_options(CLI::App& app, NetworkOptions& network);
/// --backend, --threads, --precision. `device.threads` 0 stands for all that the process may use.
void add_device_options(CLI::App& app, Device& device);

}  // namespace renas::cli
