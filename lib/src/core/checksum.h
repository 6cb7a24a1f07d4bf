#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace renas {

/// Computes the CRC-32 of `bytes`, as zlib and gzip do.
uint32_t crc32(std::string_view bytes);

// Checksums within text files, so that a damaged byte is an error and not a value.

/// Appends to `object`, the text of a JSON object, a last member "crc32": the checksum of all text
/// before the comma that introduces it, in hexadecimal.
std::string seal_json(std::string object);
/// Whether `text` is a JSON object with the right checksum of seal_json(); white space may follow.
bool is_sealed_json(std::string_view text);

/// Appends to `text` a last line "# crc32 9a0b1b4c", the checksum of all text before it. A missing
/// line end is added first.
std::string seal_text(std::string text);
/// Removes the last line of seal_text(). Returns none where the line is missing or its checksum
/// does not hold.
std::optional<std::string> unseal_text(std::string_view text);

/// Finds the one bit of `text` that must be flipped to make `is_right` hold, and flips it; none
/// where there is no such bit, or the text is longer than 32 KiB: each bit costs a look at all of
/// it.
std::optional<std::string> repair_bit(std::string text,
                                      const std::function<bool(std::string_view)>& is_right);

}  // namespace renas
