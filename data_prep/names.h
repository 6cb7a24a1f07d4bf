#pragma once

#include <string>
#include <string_view>

namespace renas::prep {

/// Whether `text` is well-formed UTF-8: no overlong forms, surrogates or numbers beyond Unicode.
bool is_utf8(std::string_view text);

/// `text` where it is UTF-8; otherwise each byte taken as a character of Latin-1, as old file
/// systems and spreadsheets have them.
std::string as_utf8(std::string_view text);

/// UTF-8 text with the letters of ASCII and Latin-1 in lower case, to compare names by.
std::string lower_case(std::string_view text);

}  // namespace renas::prep
