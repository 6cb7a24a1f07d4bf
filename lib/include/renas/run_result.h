#pragma once

#include <optional>
#include <string>
#include <vector>

namespace renas {

/// A network trained at the end of a run.
struct RetrainedNetwork {
  std::string name;  ///< a member's id, or "control1", "control2", ...
  std::string genome;
  double validation_accuracy = 0;
  std::optional<double> test_accuracy;  ///< of the winner and the controls
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

}  // namespace renas
