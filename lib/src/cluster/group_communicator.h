#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "renas/communicator.h"
#include "renas/transport.h"

namespace renas {

/// Some ranks of a transport, for a network that they train together. Unlike a collective of MPI a
/// sum can be left: a rank that dies in the middle of one leaves the others free to go on.
///
///   all-reduce on a ring of K ranks (Patarasuk and Yuan, 2009), an array cut into K parts:
///     K - 1 times   pass a part on to the next rank, which adds its own numbers to it
///     K - 1 times   pass a finished part on, which replaces that of the next rank
///
/// The order of the additions follows from the number of ranks and the array's size, so equal runs
/// have equal bits; a part is finished on one rank, so all ranks have the same.
class GroupCommunicator final : public Communicator {
 public:
  /// `ranks` are those of the group, this one among them, in an order that is the same on all;
  /// `channel` is of this group alone. While a sum waits for others it asks `give_up`: it throws
  /// ExchangeAbandoned where that returns true, which is the only end if one of them is gone.
  GroupCommunicator(Transport& transport, std::vector<int> ranks, uint64_t channel,
                    std::function<bool()> give_up);

  int rank() const override { return rank_; }
  int ranks() const override { return static_cast<int>(ranks_.size()); }
  void sum(std::span<float> values) override;
  void sum(std::span<double> values) override;
  void keep_waiting() override;

 private:
  template <class T>
  void sum_on_ring(std::span<T> values);
  template <class T>
  void pass_on(std::span<const T> out, std::span<T> in);

  Transport& transport_;
  std::vector<int> ranks_;  ///< of the transport
  uint64_t channel_;
  std::function<bool()> give_up_;
  int rank_ = 0;  ///< in the group
};

}  // namespace renas
