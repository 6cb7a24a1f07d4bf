#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/augment.h"
#include "renas/dataset.h"
#include "renas/loader.h"

namespace renas {

/// Brings a picture as it is stored to 8-bit pixels of the size the network takes: decoding,
/// scaling and cropping. Keeps its buffers, so one a thread.
class PictureFitter {
 public:
  /// `stored` is picture `index` of `data`, pixels or an encoded file. Returns pixels [height,
  /// width, channels], which live until the next call (or as long as `stored`). Throws IoError
  /// where the picture cannot be decoded.
  std::span<const uint8_t> fit(const DataSet& data, int64_t index, std::span<const uint8_t> stored,
                               const Augmentation& options, const Draw& draw);

 private:
  std::vector<uint8_t> pixels_;
};

}  // namespace renas
