#include "core/checksum.h"

#include <fmt/format.h>
#include <zlib.h>

namespace renas {
namespace {

constexpr std::string_view kMember = ",\"crc32\":\"";
constexpr std::string_view kLine = "# crc32 ";
constexpr std::size_t kDigits = 8;

std::string digits(std::string_view bytes) { return fmt::format("{:08x}", crc32(bytes)); }

std::string_view without_blanks(std::string_view text) {
  const auto last = text.find_last_not_of(" \t\r\n");
  return text.substr(0, last == std::string_view::npos ? 0 : last + 1);
}

}  // namespace

uint32_t crc32(std::string_view bytes) {
  return static_cast<uint32_t>(::crc32_z(
      ::crc32_z(0, nullptr, 0), reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

std::string seal_json(std::string object) {
  object.resize(without_blanks(object).size() - 1);  // without its "}"
  object.resize(without_blanks(object).size());
  return fmt::format("{}{}{}\"}}", object, kMember, digits(object));
}

bool is_sealed_json(std::string_view text) {
  text = without_blanks(text);
  const std::size_t tail = kMember.size() + kDigits + 2;
  if (text.size() < tail) return false;
  const std::string_view body = text.substr(0, text.size() - tail);
  return text.substr(body.size()) == fmt::format("{}{}\"}}", kMember, digits(body));
}

std::string seal_text(std::string text) {
  if (!text.empty() && text.back() != '\n') text += '\n';
  return fmt::format("{}{}{}\n", text, kLine, digits(text));
}

std::optional<std::string> unseal_text(std::string_view text) {
  const std::size_t tail = kLine.size() + kDigits + 1;
  if (text.size() < tail) return std::nullopt;
  const std::string_view body = text.substr(0, text.size() - tail);
  if (text.substr(body.size()) != fmt::format("{}{}\n", kLine, digits(body))) return std::nullopt;
  return std::string(body);
}

std::optional<std::string> repair_bit(std::string text,
                                      const std::function<bool(std::string_view)>& is_right) {
  constexpr std::size_t kLongest = std::size_t{1} << 15;
  if (text.size() > kLongest) return std::nullopt;
  for (char& byte : text) {
    for (int bit = 0; bit < 8; ++bit) {
      const char flip = static_cast<char>(1 << bit);
      byte = static_cast<char>(byte ^ flip);
      if (is_right(text)) return text;
      byte = static_cast<char>(byte ^ flip);
    }
  }
  return std::nullopt;
}

}  // namespace renas
