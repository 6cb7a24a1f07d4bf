#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace renas {

/// The EXIF tag "Orientation" (0x0112) of a picture: how its stored pixels have to be turned.
struct OrientationTag {
  int value = 1;              ///< 1 (upright) to 8
  std::size_t offset = 0;     ///< of the value within the bytes that were searched
  std::size_t bytes = 2;      ///< of the value
  bool big_endian = false;    ///< the order of its bytes
  std::size_t png_chunk = 0;  ///< offset of the chunk eXIf that holds it; 0: the file is no PNG
};

/// Finds the tag in the TIFF structure that EXIF data are, from the byte order ("II" or "MM") on.
/// Returns nothing where it is absent, the structure is broken or the value is not one of the
/// eight.
std::optional<OrientationTag> find_tiff_orientation(std::span<const uint8_t> tiff);

/// Finds the tag of a JPEG file (in its first segment APP1 of EXIF) or of a PNG file (in its chunk
/// eXIf). Broken EXIF data count as absent. Returns nothing for any other bytes.
std::optional<OrientationTag> find_orientation(std::span<const uint8_t> file);

}  // namespace renas
