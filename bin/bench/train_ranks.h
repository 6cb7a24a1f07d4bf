#pragma once

#include <string>

#include "bench/network.h"

/// renas-bench train --ranks: training steps of one network by one rank alone and by all ranks of
/// mpirun together, in turn, and what the ranks' sums cost.
struct RanksBench {
  NetworkChoice network;
  std::string backend = "auto";
  int streams = 0;  ///< as Device::streams
  int steps = 20;   ///< of a round
  int rounds = 3;
  bool json = false;
};

/// Rank 0 prints. Throws InvalidInput where there is one rank only.
void run_ranks_bench(const RanksBench& options);
