#pragma once

#include <string>
#include <vector>

#include "cluster/network_queue.h"
#include "renas/list_training.h"
#include "renas/run_directory.h"

namespace renas {

/// The cells of a list, each trained from scratch with the same seed. What came of a cell is a line
/// of results.jsonl; a cell that has one is done, unless its model is not whole any more.
class CellList final : public NetworkQueue {
 public:
  /// Throws IoError where the folder cannot be read.
  CellList(const ListTrainingOptions& options, const RunDirectory& run, const Log& log);

  std::size_t size() const override { return size_; }
  std::size_t done() const override { return done_.size(); }
  double best() const override;
  uint64_t seed_of(const RetrainedNetwork&) const override { return seed_; }
  void take(RetrainedNetwork network, int rank, const Report& report, const Log& log) override;

  /// What came of the cells, in the order of the list.
  std::vector<TrainedCell> results() const;

 private:
  const RunDirectory run_;
  const double io_patience_;
  const uint64_t seed_;
  const bool held_out_;  // whether there is a D_val
  const std::size_t size_;
  std::vector<TrainedCell> done_;
};

}  // namespace renas
