#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "renas/backend.h"

namespace renas {

/// The ranks of a data-parallel training, seen from one of them. All calls but rank() and ranks()
/// are collective: every rank makes the same ones in the same order. A sum has the same bits on
/// every rank.
class Communicator : public Reducer {
 public:
  virtual int rank() const = 0;
  virtual int ranks() const = 0;
  using Reducer::sum;
  /// Replaces `values` by their sum over all ranks.
  virtual void sum(std::span<double> values) = 0;
  /// Returns when all that sum_on_device() queued is done. A rank that is lost ends it as it ends a
  /// sum, while any other wait for the device would then have no end: so it comes before those.
  virtual void wait_for_device() {}
  /// Called while this rank waits for others otherwise than by a sum: throws where they are to be
  /// waited for no longer.
  virtual void keep_waiting() {}
};

// In what follows a null pointer stands for one rank alone.

/// The value that each rank has given, by rank.
std::vector<double> gather(Communicator* communicator, double value);
/// Whether any rank has given true.
bool any(Communicator* communicator, bool value);
/// Throws InvalidInput on every rank, which names those that differ from rank 0, unless all ranks
/// give the same `text`. `what` says what it describes, as in "see the same data set".
void expect_same(Communicator* communicator, const std::string& text, const std::string& what);

}  // namespace renas
