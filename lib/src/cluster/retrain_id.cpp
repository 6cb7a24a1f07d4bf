#include "cluster/retrain_id.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <string_view>

#include "renas/error.h"

namespace renas {
namespace {
constexpr std::string_view kControl = "control";

std::optional<RetrainId> read(const std::string& name) {
  RetrainId id;
  std::string_view digits = name;
  if (digits.starts_with(kControl)) {
    id.kind = RetrainId::Kind::kControl;
    digits.remove_prefix(kControl.size());
  }
  const char* end = digits.data() + digits.size();
  const auto [rest, failure] = std::from_chars(digits.data(), end, id.number);
  if (failure != std::errc() || rest != end) return std::nullopt;
  return id;
}

}  // namespace

std::string to_string(const RetrainId& id) {
  return fmt::format("{}{}", id.kind == RetrainId::Kind::kControl ? kControl : "", id.number);
}

bool is_retrain_id(const std::string& name) { return read(name).has_value(); }

RetrainId parse_retrain_id(const std::string& name) {
  if (const auto id = read(name)) return *id;
  throw InvalidInput(fmt::format("expected a member's id or {}NUMBER, found '{}'", kControl, name));
}

}  // namespace renas
