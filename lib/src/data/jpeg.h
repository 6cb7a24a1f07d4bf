#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "renas/image.h"

namespace renas {

/// Decodes one JPEG file, whole or in part.
///
///   JpegDecoder decoder(bytes, options);     // reads the header
///   decoder.scale(eighths);                  // perhaps
///   decoder.decode({}, pixels);
///
/// All throw InvalidInput with libjpeg's words. Keeps pointing to `bytes`.
class JpegDecoder {
 public:
  struct Window {
    int top = 0;
    int left = 0;
    int height = 0;
    int width = 0;
  };

  JpegDecoder(std::span<const uint8_t> bytes, const DecodeOptions& options);
  ~JpegDecoder();
  JpegDecoder(const JpegDecoder&) = delete;
  JpegDecoder& operator=(const JpegDecoder&) = delete;

  /// Of the decoded image, as scaled.
  Shape shape() const;
  /// Whether decode() takes windows: not where colours need a conversion of our own (CMYK).
  bool windows() const;
  /// Decodes to `eighths` / 8 of the size, rounded up; from the coefficients, so that less work is
  /// done. 1 .. 8.
  void scale(int eighths);
  /// Once: writes at least the pixels of `window` to `pixels` and returns what it wrote (columns
  /// are rounded to the blocks of the file).
  Window decode(const Window& window, std::vector<uint8_t>& pixels);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace renas
