#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "renas/backend.h"
#include "renas/communicator.h"

namespace renas {

/// The ranks of a training, whose gradients are summed by their devices where all of them can be
/// linked, and through the hosts otherwise; all else goes the hosts' way. Ranks are linked in
/// order, or not at all:
///
///   each tells all what it has (DeviceLinkOffer), so that all come to the same decision
///   rank 0 makes an id and tells it to all; all link their devices
///   each tells all whether that failed, and then none keeps its link
///
/// If it goes before it was closed, sums that wait for other ranks are given up. It has to go
/// before the program, which waits for its device.
class LinkedRanks {
 public:
  /// Collective. A null `ranks` stands for one rank alone.
  LinkedRanks(Communicator* ranks, Backend& backend);
  LinkedRanks(const LinkedRanks&) = delete;
  LinkedRanks& operator=(const LinkedRanks&) = delete;

  /// For train(); null for one rank alone.
  Communicator* communicator() { return linked_ ? &*linked_ : nullptr; }
  /// How gradients are summed and why so, for people; empty where no rank has a GPU.
  const std::string& how() const { return how_; }
  /// Ends the link in order. Collective.
  void close();

 private:
  class Linked final : public Communicator {
   public:
    explicit Linked(Communicator& ranks) : ranks_(ranks) {}
    int rank() const override { return ranks_.rank(); }
    int ranks() const override { return ranks_.ranks(); }
    void sum(std::span<float> values) override { ranks_.sum(values); }
    void sum(std::span<double> values) override { ranks_.sum(values); }
    bool sum_on_device(float* values, std::size_t size, void* stream) override;
    void wait_for_device() override;
    void keep_waiting() override { ranks_.keep_waiting(); }
    std::unique_ptr<DeviceLink> link;

   private:
    Communicator& ranks_;
  };

  /// Links the devices of ranks that all can be. Returns why that failed, empty where it did not.
  std::string link(Backend& backend);

  std::optional<Linked> linked_;
  std::string how_;
  bool abandoned_ = false;  ///< a wait for other ranks was ended from outside
};

/// The text that each rank has given, by rank. Collective.
std::vector<std::string> gather(Communicator& ranks, const std::string& text);

/// Why the devices behind `offers`, by rank, cannot be linked; empty: they can.
std::string why_not_linked(const std::vector<DeviceLinkOffer>& offers);

}  // namespace renas
