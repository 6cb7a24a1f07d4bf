#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "renas/search_run.h"

namespace renas {

/// What came of doing a search again.
struct Replay {
  uint64_t lines = 0;    ///< of the history that were done again, with the same outcome
  uint64_t trained = 0;  ///< candidates that were trained again, with the same fitness
  uint64_t weights = 0;  ///< files of weights that hold, to the bit, what was trained again
  bool stopped = false;  ///< by hooks.stop
  /// What differed first, a sentence with file and line; empty: nothing. There the replay ends.
  std::string difference;
};

/// Does the search of the run in `options.folder` again on one rank, in the order of its history,
/// however many ranks it had: asks and tells its strategy alike, and compares each decision with
/// the history. Unless `decisions_only` trains each candidate again, from the same parent, and
/// compares fitness and weights. Writes nothing. `hooks`: log, stop, device.
///
/// Fitness and weights are the same on processors of one kind, whatever the number of threads.
/// Throws InvalidInput, IoError where there is nothing to replay.
Replay replay_search(const SearchRunOptions& options, bool decisions_only,
                     const SearchRunHooks& hooks = {});

}  // namespace renas
