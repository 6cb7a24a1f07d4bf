#include "data/source.h"

#include <fmt/format.h>

#include "renas/error.h"

namespace renas {

std::string wrong_statistics(const DataSetInfo& info) {
  constexpr const char* kExpected =
      "expected those of pixels divided by 255, a mean from 0 to 1 and a standard deviation above "
      "0 "
      "and up to 1";
  for (const double mean : info.mean) {
    if (!(mean >= 0 && mean <= 1)) {
      return fmt::format("a channel's mean is {}{}; {}", mean,
                         mean > 1 && mean <= 255 ? ", as of pixels from 0 to 255" : "", kExpected);
    }
  }
  for (const double sd : info.sd) {
    if (!(sd > 0 && sd <= 1)) {
      return fmt::format("a channel's standard deviation is {}{}; {}", sd,
                         sd > 1 && sd <= 128 ? ", as of pixels from 0 to 255" : "", kExpected);
    }
  }
  return {};
}

void check_labels(std::span<const int32_t> labels, int classes, const std::string& where) {
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] < 0 || labels[i] >= classes) {
      throw InvalidInput(fmt::format("{}: label {} of image {} is not one of the {} classes", where,
                                     labels[i], i, classes));
    }
  }
}

}  // namespace renas
