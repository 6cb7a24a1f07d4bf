#pragma once

#include <string>

namespace renas {

/// How the evaluation of a candidate ended. All but kOk leave the population as it was.
enum class Status {
  kOk,
  kDiverged,     ///< loss or weights are no finite numbers
  kOutOfMemory,  ///< its network needs more memory than there is
  kLost,         ///< its rank died or fell silent
};
const char* to_string(Status status);  ///< "ok", "diverged", "out-of-memory", "lost"
/// Throws InvalidInput where `text` is none of these.
Status parse_status(const std::string& text);

}  // namespace renas
