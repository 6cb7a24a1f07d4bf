#include "names.h"

#include <cstdint>

namespace renas::prep {
namespace {

uint8_t byte_at(std::string_view text, std::size_t i) { return static_cast<uint8_t>(text[i]); }

/// The bytes of the well-formed character at `at`; 0 where there is none.
std::size_t character_length(std::string_view text, std::size_t at) {
  const uint8_t first = byte_at(text, at);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() - at < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte_at(text, at + i) & 0xc0) != 0x80) return 0;
  }
  const uint8_t second = byte_at(text, at + 1);
  const bool overlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
  const bool surrogate = first == 0xed && second >= 0xa0;
  const bool beyond = first == 0xf4 && second >= 0x90;
  return overlong || surrogate || beyond ? 0 : length;
}

}  // namespace

bool is_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = character_length(text, at);
    if (length == 0) return false;
    at += length;
  }
  return true;
}

std::string as_utf8(std::string_view text) {
  if (is_utf8(text)) return std::string(text);
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const uint8_t c = byte_at(text, i);
    if (c < 0x80) {
      result.push_back(static_cast<char>(c));
    } else {
      result.push_back(static_cast<char>(0xc0 | (c >> 6)));
      result.push_back(static_cast<char>(0x80 | (c & 0x3f)));
    }
  }
  return result;
}

std::string lower_case(std::string_view text) {
  std::string result(text);
  for (std::size_t i = 0; i < result.size(); ++i) {
    const uint8_t c = byte_at(result, i);
    if (c >= 'A' && c <= 'Z') result[i] = static_cast<char>(c + 0x20);
    // The capitals of Latin-1 are the bytes c3 80 to c3 9e, and c3 97 is the multiplication sign.
    const bool latin = i > 0 && byte_at(result, i - 1) == 0xc3 && c >= 0x80 && c <= 0x9e;
    if (latin && c != 0x97) result[i] = static_cast<char>(c + 0x20);
  }
  return result;
}

}  // namespace renas::prep
