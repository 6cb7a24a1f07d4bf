#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/augment.h"
#include "data/resample.h"
#include "renas/dataset.h"
#include "renas/loader.h"

namespace renas {

/// Where the crop lies in an image of `height` x `width` that is scaled first.
struct CropPlan {
  int height = 0;  ///< of the scaled image
  int width = 0;
  int top = 0;  ///< of the crop in it
  int left = 0;
};
/// The shorter side becomes draw.shorter_side (0: as it is, but never less than the crop), the
/// longer one keeps the aspect, rounded to the nearest; each place of the crop is equally likely.
CropPlan plan_crop(int height, int width, const Augmentation& options, const Draw& draw);

/// Brings an image as it is stored to 8-bit pixels of the size the network takes: decoding,
/// scaling and cropping. Keeps its buffers, so one a thread.
class ImageFitter {
 public:
  /// `stored` is image `index` of `data`, pixels or an encoded file. Returns pixels [height,
  /// width, channels], which live until the next call (or as long as `stored`). Throws IoError
  /// where the image cannot be decoded, Unsupported where this build decodes none.
  std::span<const uint8_t> fit(const DataSet& data, int64_t index, std::span<const uint8_t> stored,
                               const Augmentation& options, const Draw& draw);

 private:
  // Decodes what the crop needs; sets `plan` to the crop within the image as decoded.
  PixelView decode(std::span<const uint8_t> bytes, int channels, const Augmentation& options,
                   const Draw& draw, CropPlan& plan, Shape& decoded);

  std::vector<uint8_t> decoded_;
  std::vector<uint8_t> pixels_;
  std::vector<float> scratch_;
};

/// Another name of ImageFitter, by which the loader calls it.
using PictureFitter = ImageFitter;

}  // namespace renas
