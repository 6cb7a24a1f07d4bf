#pragma once

#include "renas/evaluation.h"

namespace renas::test {

/// Images that a small network tells apart: class k is bright in a column of its own.
inline SearchData toy_data(int count = 96, int classes = 3, uint64_t seed = 5) {
  Random random(seed);
  const Shape shape{1, 8, 8};
  std::vector<uint8_t> pixels;
  std::vector<int32_t> labels;
  for (int i = 0; i < count; ++i) {
    labels.push_back(i % classes);
    for (int y = 0; y < shape.height; ++y) {
      for (int x = 0; x < shape.width; ++x) {
        const bool bright = x / 2 == labels.back();
        pixels.push_back(static_cast<uint8_t>((bright ? 160 : 0) + random.below(64)));
      }
    }
  }
  const DataSet images(shape, std::move(pixels), labels);
  Split split = split_validation(labels, count / 4, 1);
  return {images, split.train, split.validation};
}

/// A network small enough for the reference backend.
inline ChildOptions toy_child(const SearchData& data) {
  ChildOptions options;
  options.network = {
      .cells = 1, .filters = 4, .image = data.images.shape(), .classes = data.images.classes()};
  options.batch = 16;
  options.inherit = true;
  options.initial_epochs = 4;
  options.augmentation = Augmentation::none();
  return options;
}

inline constexpr const char* kToyGenome = "c-2:sep3x3+c-1:identity,1:max3x3+c-1:sep3x3";

}  // namespace renas::test
