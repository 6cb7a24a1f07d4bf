#pragma once

#include <string>

#include "support/history.h"
#include "support/mpirun.h"
#include "support/process.h"
#include "support/temporary_folder.h"
#include "support/toy_file.h"

namespace renas::test {

inline const std::string kPrograms = RENAS_PROGRAMS "/";

/// A search that takes a second or two.
inline std::string toy_search(const TemporaryFolder& folder, const std::string& run,
                              const std::string& snapshot_seconds = "0", int children = 8) {
  return kPrograms + "renas-search --data " + (folder / "data.h5") + " --run " + (folder / run) +
         " --blocks 2 --population 4 --sample 2 --children " + std::to_string(children) +
         " --cells 1 --filters 4 --batch 16"
         " --inherit --initial-epochs 1 --retrain-epochs 2 --controls 1 --seed 3 --threads 1"
         // These tests kill the run more often than a child is trained, so a child needs many
         // attempts.
         " --max-attempts 1000 --io-patience 0.05 --snapshot-seconds " +
         snapshot_seconds + " ";
}

#ifdef RENAS_MPIRUN
/// The beginning of a command that runs on so many ranks of this machine.
inline std::string on_ranks(int ranks, const std::string& options = "") {
  return "env " + kMpirun + "-np " + std::to_string(ranks) + " " + options + " ";
}
#endif

}  // namespace renas::test
