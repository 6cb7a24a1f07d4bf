#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/augment.h"
#include "data/resample.h"
#include "renas/dataset.h"
#include "renas/loader.h"

namespace renas {

/// The place of a crop within an image that is scaled first.
struct CropPlan {
  int height = 0;  ///< of the scaled image
  int width = 0;   ///< of the scaled image
  int top = 0;     ///< of the crop within the scaled image
  int left = 0;
};
/// Plans the crop of an image of `height` x `width`. The shorter side is scaled to
/// draw.shorter_side (0: stays as it is), but never to less than the crop; the longer side keeps
/// the aspect ratio, rounded to the nearest pixel. Every place of a random crop is equally likely.
CropPlan plan_crop(int height, int width, const Augmentation& options, const Draw& draw);

/// Decodes, scales and crops stored images to 8-bit pixels of the size that the network takes. A
/// fitter keeps its buffers between calls, so each thread needs its own.
class ImageFitter {
 public:
  /// A fitter that is `strict` refuses damaged JPEG files; otherwise whoever prepared the set has
  /// decided what is good enough.
  explicit ImageFitter(bool strict = false) : strict_(strict) {}

  /// Fits one image. `stored` is image `index` of `data`, pixels or an encoded file. Returns pixels
  /// [height, width, channels], which live until the next call (without a crop: as long as
  /// `stored`). Throws IoError where the image cannot be decoded, Unsupported where this build
  /// decodes none.
  std::span<const uint8_t> fit(const DataSet& data, int64_t index, std::span<const uint8_t> stored,
                               const Augmentation& options, const Draw& draw);
  /// Fits a JPEG or PNG file, decoded to `channels`. The result lives until the next call. Throws
  /// InvalidInput where the file cannot be decoded, Unsupported where this build decodes none.
  std::span<const uint8_t> fit_encoded(std::span<const uint8_t> file, int channels,
                                       const Augmentation& options, const Draw& draw);
  /// Fits pixels [shape.height, shape.width, shape.channels], likewise.
  std::span<const uint8_t> fit_pixels(const Shape& shape, std::span<const uint8_t> pixels,
                                      const Augmentation& options, const Draw& draw);

 private:
  // Decodes the part that the crop needs. Sets `plan` to the crop, and `decoded` to the shape of
  // the whole upright image as the decoder scales it.
  PixelView decode(std::span<const uint8_t> bytes, int channels, const Augmentation& options,
                   const Draw& draw, CropPlan& plan, Shape& decoded);
  std::span<const uint8_t> crop(const PixelView& view, const CropPlan& plan, const Shape& whole,
                                int side);

  bool strict_;
  std::vector<uint8_t> decoded_;
  std::vector<uint8_t> upright_;
  std::vector<uint8_t> pixels_;
  std::vector<float> scratch_;
};

}  // namespace renas
