#pragma once

#include <cstdint>
#include <vector>

namespace renas {

/// A rectangle of an image.
struct Window {
  int top = 0;
  int left = 0;
  int height = 0;
  int width = 0;
};

/// The way from the stored pixels of an image to the upright image, as the EXIF tag "Orientation"
/// numbers the eight ways. The upright pixel (y, x) is the stored pixel (y, x), or (x, y) where
/// `transpose`, counted from the last row where `flip_rows` and from the last column where
/// `flip_columns`.
class Orientation {
 public:
  /// `tag` is from 1, which leaves the image as it is, to 8.
  explicit Orientation(int tag = 1);

  bool upright() const { return !transpose_ && !flip_rows_ && !flip_columns_; }
  /// Whether the upright image is as wide as the stored one is high.
  bool transpose() const { return transpose_; }

  /// The part of a stored image of `height` x `width` that becomes `window` of the upright image.
  Window stored(const Window& window, int height, int width) const;
  /// The part of the upright image that `window` of a stored image of `height` x `width` becomes.
  Window turned(const Window& window, int height, int width) const;
  /// Turns stored pixels [height, width, channels] into `to`, which is resized.
  void turn(const uint8_t* pixels, int height, int width, int channels,
            std::vector<uint8_t>& to) const;

 private:
  bool transpose_ = false;
  bool flip_rows_ = false;
  bool flip_columns_ = false;
};

}  // namespace renas
