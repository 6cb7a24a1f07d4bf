#pragma once

#include <cstdint>
#include <vector>

#include "renas/dataset.h"
#include "renas/loader.h"
#include "renas/random.h"

namespace renas {

/// What chance decides for one image and its mask in one epoch.
struct PairDraw {
  double scale = 1;
  double top = 0;   ///< [0, 1): place of the crop, down
  double left = 0;  ///< and across
  bool flip = false;
};

PairDraw draw_pair(const PairAugmentation& options, Random random);

/// Decodes, scales, crops, pads, mirrors and normalises images and their masks. A fitter keeps its
/// buffers between calls, so each thread needs its own.
class PairFitter {
 public:
  /// Fits image `index` of `data` and its mask.
  ///
  /// out     [height, width, channels], normalised by the data set's mean and standard deviation
  /// labels  [height, width], classes or -1
  /// Throws IoError where image or mask cannot be decoded, differ in size, or the mask has a value
  /// that is no class; InvalidInput where the options are not random and the image is larger than
  /// the result; Unsupported where this build decodes no images.
  void fit(const DataSet& data, int64_t index, const PairAugmentation& options,
           const PairDraw& draw, float* out, int32_t* labels);

 private:
  std::vector<uint8_t> bytes_;
  std::vector<uint8_t> scaled_;
  std::vector<float> scratch_;
};

}  // namespace renas
