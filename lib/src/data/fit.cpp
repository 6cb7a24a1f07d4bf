#include "data/fit.h"

#include "renas/error.h"

namespace renas {

std::span<const uint8_t> PictureFitter::fit(const DataSet& data, int64_t,
                                            std::span<const uint8_t> stored,
                                            const Augmentation& options, const Draw&) {
  if (!data.encoded() && options.crop == 0) return stored;
  throw Unsupported("pictures of varying size");
}

}  // namespace renas
