#include "renas/status.h"

#include <fmt/format.h>

#include "renas/error.h"

namespace renas {

const char* to_string(Status status) {
  switch (status) {
    case Status::kOk:
      return "ok";
    case Status::kDiverged:
      return "diverged";
    case Status::kOutOfMemory:
      return "out-of-memory";
    case Status::kLost:
      break;
  }
  return "lost";
}

Status parse_status(const std::string& text) {
  for (const Status s : {Status::kOk, Status::kDiverged, Status::kOutOfMemory, Status::kLost}) {
    if (text == to_string(s)) return s;
  }
  throw InvalidInput(
      fmt::format("status: expected ok, diverged, out-of-memory or lost, found '{}'", text));
}

}  // namespace renas
