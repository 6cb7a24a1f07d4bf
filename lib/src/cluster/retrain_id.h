#pragma once

#include <cstdint>
#include <string>

namespace renas {

/// Which network is retrained at the end of a run: a member of the population by its id, or a
/// random control by its number from 1.
struct RetrainId {
  enum class Kind { kMember, kControl };
  Kind kind = Kind::kMember;
  uint64_t number = 0;
  bool operator==(const RetrainId&) const = default;
};

/// "12" for a member, "control1" for a control: names of files and of RetrainedNetwork.
std::string to_string(const RetrainId& id);
/// Throws InvalidInput where `name` is neither.
RetrainId parse_retrain_id(const std::string& name);
bool is_retrain_id(const std::string& name);

}  // namespace renas
