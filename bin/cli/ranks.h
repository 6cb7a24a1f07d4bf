#pragma once

#include <memory>

#include "renas/transport.h"

namespace renas::cli {

/// The MPI environment of a program, initialised on construction and finalised on destruction. A
/// build without MPI has one rank.
class Ranks {
 public:
  Ranks(int& argc, char**& argv);
  Ranks(const Ranks&) = delete;
  Ranks& operator=(const Ranks&) = delete;
  ~Ranks();

  int rank() const { return rank_; }
  int ranks() const { return ranks_; }
  /// Threads for each rank: the cores that it may run on, shared fairly with the ranks that may run
  /// on the same cores.
  int threads() const { return threads_; }
  std::unique_ptr<Transport> make_transport() const;
  /// The largest exit code of all ranks. The call is collective.
  int worst(int code) const;
  /// Ends all ranks at once. After a rank was lost, an orderly end would wait for it forever.
  [[noreturn]] void abort(int code) const;

 private:
  int rank_ = 0;
  int ranks_ = 1;
  int threads_ = 1;
};

}  // namespace renas::cli
