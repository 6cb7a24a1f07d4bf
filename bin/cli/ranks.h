#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "cli/environment.h"
#include "renas/communicator.h"
#include "renas/transport.h"

namespace renas::cli {

/// The MPI environment of a program, initialised on construction and finalised on destruction. A
/// build without MPI has one rank.
class Ranks {
 public:
  /// Ends the process with a message and kMistake where a launcher has started several processes
  /// that do not find each other: each would take itself for the only one.
  Ranks(int& argc, char**& argv);
  Ranks(const Ranks&) = delete;
  Ranks& operator=(const Ranks&) = delete;
  ~Ranks();

  int rank() const { return rank_; }
  int ranks() const { return ranks_; }
  /// Threads for this rank where none are given. Ranks that may run on the same cores, or have the
  /// same quota, share them fairly.
  const DefaultThreads& threads() const { return threads_; }
  /// Bytes that this rank may use: its share of what the ranks of this machine have; 0: not known.
  int64_t memory() const { return memory_; }
  std::unique_ptr<Transport> make_transport() const;
  /// For a network that all ranks train together; null where there is one rank.
  std::unique_ptr<Communicator> make_communicator() const;
  /// The GPU of this rank, see renas::choose_device(); collective.
  int choose_device(const std::string& backend, int ranks_per_gpu) const;
  /// The largest exit code of all ranks. The call is collective.
  int worst(int code) const;
  /// Ends all ranks at once. After a rank was lost, an orderly end would wait for it forever.
  [[noreturn]] void abort(int code) const;

 private:
  int rank_ = 0;
  int ranks_ = 1;
  DefaultThreads threads_;
  int64_t memory_ = 0;
};

}  // namespace renas::cli
