#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "data/orientation.h"
#include "renas/image.h"

namespace renas {

/// Decodes one JPEG file, whole or in part.
///
///   JpegDecoder decoder(bytes, options);     // reads the header
///   decoder.scale(eighths);                  // optional
///   decoder.decode({}, pixels);
///
/// Pixels come as they are stored, whatever the EXIF orientation. All functions throw InvalidInput
/// with libjpeg's message. The decoder keeps a pointer to `bytes`.
class JpegDecoder {
 public:
  JpegDecoder(std::span<const uint8_t> bytes, const DecodeOptions& options);
  ~JpegDecoder();
  JpegDecoder(const JpegDecoder&) = delete;
  JpegDecoder& operator=(const JpegDecoder&) = delete;

  /// The shape of the decoded image, after scale().
  Shape shape() const;
  /// Whether decode() can decode a window alone. CMYK files are decoded whole, because their
  /// colours need a conversion of our own.
  bool windows() const;
  /// Makes decode() scale the image to `eighths` / 8 of its size, rounded up; `eighths` is 1 .. 8.
  /// The scaling happens on the DCT coefficients, which saves most of the work of decoding.
  void scale(int eighths);
  /// Decodes at least the pixels of `window` (height 0: the whole image) into `pixels` and returns
  /// the window that it decoded, whose columns are rounded to the blocks of the file. Call it once.
  Window decode(const Window& window, std::vector<uint8_t>& pixels);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace renas
