#include "data/source.h"

#include <fmt/format.h>

#include "renas/error.h"

namespace renas {

void check_labels(std::span<const int32_t> labels, int classes, const std::string& where) {
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] < 0 || labels[i] >= classes) {
      throw InvalidInput(fmt::format("{}: label {} of image {} is not one of the {} classes", where,
                                     labels[i], i, classes));
    }
  }
}

}  // namespace renas
