#pragma once

#include <memory>

#include "renas/transport.h"

namespace renas::cli {

/// MPI for as long as a program runs: initialised on construction, finalised on destruction. In a
/// build without MPI there is one rank.
class Ranks {
 public:
  Ranks(int& argc, char**& argv);
  Ranks(const Ranks&) = delete;
  Ranks& operator=(const Ranks&) = delete;
  ~Ranks();

  int rank() const { return rank_; }
  int ranks() const { return ranks_; }
  /// Cores for each rank: those it may run on, shared fairly with ranks that may run on the same.
  int threads() const { return threads_; }
  std::unique_ptr<Transport> make_transport() const;
  /// The largest of all ranks' codes; all ranks call it.
  int worst(int code) const;
  /// Ends all ranks at once: after a rank was lost, an orderly end would wait for it.
  [[noreturn]] void abort(int code) const;

 private:
  int rank_ = 0;
  int ranks_ = 1;
  int threads_ = 1;
};

}  // namespace renas::cli
