#include "data/exif.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "core/checksum.h"
#include "renas/image.h"

namespace renas {
namespace {

using Bytes = std::span<const uint8_t>;

constexpr uint8_t kPngSignature[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
constexpr std::string_view kExif("Exif\0", 5);  // a sixth byte pads it
constexpr std::size_t kExifHeader = 6;

/// Reads unsigned numbers of one byte order. The caller checks that they lie within the bytes.
struct Numbers {
  Bytes bytes;
  bool big_endian = true;

  uint32_t read(std::size_t at, std::size_t count) const {
    uint32_t value = 0;
    for (std::size_t i = 0; i < count; ++i) {
      value = (value << 8) | bytes[big_endian ? at + i : at + count - 1 - i];
    }
    return value;
  }
};

bool has(Bytes bytes, std::size_t at, std::string_view text) {
  return at <= bytes.size() && text.size() <= bytes.size() - at &&
         std::memcmp(bytes.data() + at, text.data(), text.size()) == 0;
}

/// The tag within `tiff`, which begins at `begin` of the file.
std::optional<OrientationTag> found_in(Bytes tiff, std::size_t begin, std::size_t png_chunk) {
  std::optional<OrientationTag> tag = find_tiff_orientation(tiff);
  if (tag) {
    tag->offset += begin;
    tag->png_chunk = png_chunk;
  }
  return tag;
}

std::optional<OrientationTag> find_in_jpeg(Bytes file) {
  const Numbers numbers{file};
  std::size_t at = 2;
  while (true) {
    // A marker is 0xff, perhaps repeated, and its code; libjpeg skips whatever lies before it.
    while (at < file.size() && file[at] != 0xff) ++at;
    while (at < file.size() && file[at] == 0xff) ++at;
    if (at >= file.size()) return {};
    const uint8_t code = file[at++];
    if (code == 0 || code == 0x01 || (code >= 0xd0 && code <= 0xd8)) continue;  // without content
    if (code == 0xd9 || code == 0xda || file.size() - at < 2) return {};  // the end, or the pixels
    const std::size_t length = numbers.read(at, 2);
    if (length < 2 || length > file.size() - at) return {};
    const Bytes content = file.subspan(at + 2, length - 2);
    if (code == 0xe1 && content.size() >= kExifHeader && has(content, 0, kExif)) {
      return found_in(content.subspan(kExifHeader), at + 2 + kExifHeader, 0);
    }
    at += length;
  }
}

std::optional<OrientationTag> find_in_png(Bytes file) {
  // A chunk: length, type, content, CRC-32 of type and content.
  const Numbers numbers{file};
  std::size_t at = sizeof kPngSignature;
  while (file.size() - at >= 12) {
    const std::size_t length = numbers.read(at, 4);
    if (length > file.size() - at - 12 || has(file, at + 4, "IEND")) return {};
    if (has(file, at + 4, "eXIf")) {
      const std::string_view checked(reinterpret_cast<const char*>(file.data()) + at + 4,
                                     length + 4);
      if (crc32(checked) != numbers.read(at + 8 + length, 4)) return {};
      return found_in(file.subspan(at + 8, length), at + 8, at);
    }
    at += length + 12;
  }
  return {};
}

}  // namespace

std::optional<OrientationTag> find_tiff_orientation(Bytes tiff) {
  // Header: byte order, 42, offset of the first directory. A directory: the number of entries, then
  // entries of 12 bytes: tag, type, count, and the value where it fits into four bytes.
  constexpr uint32_t kTag = 0x0112;
  constexpr std::size_t kEntry = 12;
  if (tiff.size() < 8 || !(has(tiff, 0, "II") || has(tiff, 0, "MM"))) return {};
  const Numbers numbers{tiff, tiff[0] == 'M'};
  const std::size_t directory = numbers.read(4, 4);
  if (numbers.read(2, 2) != 42 || directory > tiff.size() - 2) return {};
  const std::size_t entries =
      std::min<std::size_t>(numbers.read(directory, 2), (tiff.size() - directory - 2) / kEntry);
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t at = directory + 2 + i * kEntry;
    if (numbers.read(at, 2) != kTag) continue;
    const uint32_t type = numbers.read(at + 2, 2);  // the standard's is 3, 16 bits; 4: 32 bits
    if ((type != 3 && type != 4) || numbers.read(at + 4, 4) != 1) return {};
    const std::size_t bytes = type == 3 ? 2 : 4;
    const uint32_t value = numbers.read(at + 8, bytes);
    if (value < 1 || value > 8) return {};
    return OrientationTag{static_cast<int>(value), at + 8, bytes, numbers.big_endian, 0};
  }
  return {};
}

std::optional<OrientationTag> find_orientation(Bytes file) {
  if (file.size() >= 3 && file[0] == 0xff && file[1] == 0xd8) return find_in_jpeg(file);
  if (file.size() >= sizeof kPngSignature &&
      std::memcmp(file.data(), kPngSignature, sizeof kPngSignature) == 0) {
    return find_in_png(file);
  }
  return {};
}

void clear_orientation(std::vector<uint8_t>& file) {
  const std::optional<OrientationTag> tag = find_orientation(file);
  if (!tag) return;
  for (std::size_t i = 0; i < tag->bytes; ++i) {
    const bool last = tag->big_endian ? i == tag->bytes - 1 : i == 0;
    file[tag->offset + i] = last ? 1 : 0;
  }
  if (tag->png_chunk == 0) return;
  const std::size_t length = Numbers{file}.read(tag->png_chunk, 4);
  const auto* chunk = reinterpret_cast<const char*>(file.data()) + tag->png_chunk;
  const uint32_t crc = crc32({chunk + 4, length + 4});
  for (std::size_t i = 0; i < 4; ++i) {
    file[tag->png_chunk + 8 + length + i] = static_cast<uint8_t>(crc >> (24 - 8 * i));
  }
}

}  // namespace renas
