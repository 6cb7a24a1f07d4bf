#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "renas/status.h"

namespace renas {

/// A network trained at the end of a run.
struct RetrainedNetwork {
  std::string name;  ///< a member's id, or "control1", "control2", ...
  std::string genome;
  double validation_accuracy = 0;
  std::optional<double> validation_balanced_accuracy;  ///< Score::balanced_accuracy; none: unknown
  std::optional<double> test_accuracy;                 ///< of the winner and the controls
  std::optional<double> test_balanced_accuracy;        ///< likewise
};

/// What became of a cell of a list (renas/list_training.h).
struct TrainedCell {
  std::string name;  ///< its number in the list, from 1: the name of its model
  std::string genome;
  Status status = Status::kOk;
  std::string message;  ///< of a failure, or a remark; may be empty
  double validation_accuracy = 0;
  double validation_balanced_accuracy = 0;
  std::optional<double> test_accuracy;  ///< none: the data set has no test images
  std::optional<double> test_balanced_accuracy;
  int64_t parameters = 0;
  int64_t mult_adds = 0;
  double seconds = 0;  ///< wall time of the session that finished it
  int rank = 0;        ///< that trained it; -1: it was given up
};

/// What a run found.
struct RunResult {
  std::vector<RetrainedNetwork> networks;
  std::string winner;  ///< name of the one in best.h5
};

/// The form of a run's result.json (lib/src/store/FORMAT.md), without its checksum.
std::string to_json(const RunResult& result);
/// Throws InvalidInput.
RunResult parse_result(const std::string& json);

/// A line of results.jsonl, with its checksum and without the line end.
std::string to_json(const TrainedCell& cell);
/// Throws InvalidInput where `line` is none, or its checksum does not hold.
TrainedCell parse_trained_cell(const std::string& line);

}  // namespace renas
