#pragma once

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <functional>
#include <string>
#include <utility>

#include "renas/search_run.h"
#include "support/history.h"
#include "support/temporary_folder.h"

namespace renas::test {

/// A search over the images of write_toy_file(folder / "data.h5"), done in a second or two.
inline SearchRunOptions toy_options(const TemporaryFolder& folder, const std::string& run) {
  SearchRunOptions o;
  o.data = folder / "data.h5";
  o.folder = folder / run;
  o.blocks = 2;
  o.strategy.population = 4;
  o.strategy.sample = 2;
  o.strategy.seed = 11;
  o.children = 6;
  o.child.network.cells = 1;
  o.child.network.filters = 2;
  o.child.batch = 16;
  o.child.inherit = true;
  o.child.initial_epochs = 1;
  o.final.network = o.child.network;
  o.final.recipe.epochs = 2;
  o.final.recipe.cosine_cycles = {2};
  o.controls = 1;
  o.child.device.backend = "reference";
  o.final.device = o.child.device;
  o.snapshot_seconds = 0;
  o.io_patience = 0.05;
  return o;
}

/// Runs a search on one rank; `on_progress` hears of every result before the next one is there.
inline SearchRunResult run_alone(const SearchRunOptions& options,
                                 const std::atomic<bool>* stop = nullptr,
                                 std::function<void(const SearchProgress&)> on_progress = nullptr) {
  const auto transport = make_local_transport();
  return run_search(options, *transport,
                    {.stop = stop, .on_progress = std::move(on_progress), .progress_seconds = 0});
}

/// Runs a search on one rank until `results` candidates came back, and stops it there.
inline void run_until(const SearchRunOptions& options, int64_t results) {
  std::atomic<bool> stop{false};
  const auto on_progress = [&](const SearchProgress& p) { stop = stop || p.done >= results; };
  BOOST_TEST(!run_alone(options, &stop, on_progress).finished);
}

inline std::string history_of(const SearchRunOptions& options) {
  return history_of(options.folder);
}

}  // namespace renas::test
