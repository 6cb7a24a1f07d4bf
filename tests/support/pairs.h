#pragma once

// Images with masks, made up.

#include <string>
#include <vector>

#include "renas/dataset_writer.h"
#include "renas/image.h"

namespace renas::test {

/// An image whose grey value says its class, class k having 40 k + 20, and the mask of it: vertical
/// stripes of classes 0 to `classes` - 1 of `wide` pixels, shifted by `shift`. The first column is
/// void.
struct MadeUpPair {
  Image image;
  Image mask;
};
inline MadeUpPair stripes(int height, int width, int classes, int wide, int shift) {
  MadeUpPair pair{{{3, height, width}, {}}, {{1, height, width}, {}}};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const int k = (x + shift) / wide % classes;
      for (int c = 0; c < 3; ++c) pair.image.pixels.push_back(static_cast<uint8_t>(40 * k + 20));
      pair.mask.pixels.push_back(x == 0 ? kVoid : static_cast<uint8_t>(k));
    }
  }
  return pair;
}

/// Writes a data set of one split, train, of such pairs as PNG, of different sizes and shifts.
inline void write_stripes(const std::string& path, int count, int classes, int wide) {
  DataSetWriter writer(path);
  writer.begin_split("train", {3, 0, 0});
  ChannelStatistics statistics(3);
  for (int i = 0; i < count; ++i) {
    const MadeUpPair pair = stripes(30 + i % 5, 33 + i % 7, classes, wide, i);
    writer.add_pair(encode_lossless(pair.image), pair.mask, i % classes);
    statistics.add(pair.image.pixels);
  }
  DataSetInfo info;
  info.classes = classes;
  info.mean = statistics.mean();
  info.sd = statistics.sd();
  writer.finish(info);
}

}  // namespace renas::test
