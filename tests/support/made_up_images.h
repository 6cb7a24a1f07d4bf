#pragma once

#include <cstdint>
#include <vector>

#include "renas/dataset.h"

namespace renas::test {

/// `count` images of `shape` whose every byte differs from its neighbours'; image i is of class
/// i % classes.
inline DataSet made_up(int64_t count, const Shape& shape, int classes) {
  std::vector<uint8_t> pixels(count * shape.size());
  uint32_t x = 12345;
  for (uint8_t& value : pixels) {
    x = x * 1664525 + 1013904223;
    value = static_cast<uint8_t>(x >> 24);
  }
  std::vector<int32_t> labels(count);
  for (std::size_t i = 0; i < labels.size(); ++i) {
    labels[i] = static_cast<int32_t>(i) % classes;
  }
  DataSetInfo info;
  info.classes = classes;
  return DataSet(shape, std::move(pixels), std::move(labels), info);
}

}  // namespace renas::test
