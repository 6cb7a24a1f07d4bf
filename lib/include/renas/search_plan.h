#pragma once

#include <cstdint>
#include <optional>

#include "renas/search_run.h"

namespace renas {

/// A quantity over cells drawn at random.
struct Spread {
  int64_t least = 0;
  int64_t median = 0;
  int64_t most = 0;
  double mean = 0;
};

/// The networks of random cells of the space.
struct NetworkSizes {
  int cells = 0;  ///< how many were drawn
  Spread parameters;
  Spread mult_adds;  ///< of an image
};

/// What a search costs, as far as it can be said before it. Children are changed step by step, so
/// those of a search that selects large cells are larger than random ones.
struct SearchPlan {
  NetworkSizes any;                      ///< without `max_parameters` and `max_mult_adds`
  std::optional<NetworkSizes> admitted;  ///< within them, where there are any

  int64_t memory = 0;         ///< bytes: to train the largest of the networks that would be trained
  int64_t memory_before = 0;  ///< bytes that the process has without a network
  int64_t memory_limit = 0;   ///< bytes that a rank may use (SearchRunHooks::memory); 0: not known

  double images_per_second = 0;   ///< measured: training of the median network on this rank
  double member_seconds = 0;      ///< of a member without a parent, in the mean
  double child_seconds = 0;       ///< of a child
  double retrain_seconds = 0;     ///< of a finalist
  double search_seconds = 0;      ///< of one rank: all members and children
  double final_seconds = 0;       ///< of one rank: the whole retraining
  double search_seconds_any = 0;  ///< search_seconds without the limits

  int64_t disk = 0;         ///< bytes of the run's folder at its end, at most
  int64_t disk_a_rank = 0;  ///< and for each rank, while it trains
};

/// Draws cells, and trains the network of a median one for about `measure_seconds` on this rank's
/// device. Writes nothing. Throws InvalidInput, IoError as run_search() does, OutOfMemory where the
/// median network does not fit.
SearchPlan plan_search(const SearchRunOptions& options, const SearchRunHooks& hooks = {},
                       double measure_seconds = 5);

}  // namespace renas
