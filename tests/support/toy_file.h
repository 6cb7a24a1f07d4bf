#pragma once

#include <string>
#include <vector>

#include "renas/dataset_writer.h"
#include "support/toy_data.h"

namespace renas::test {

/// toy_data as a file with the groups train and test.
inline void write_toy_file(const std::string& path, int images = 96, uint64_t seed = 5,
                           bool force = false) {
  const SearchData data = toy_data(images, 3, seed);
  DataSetWriter writer(path, force);
  std::vector<uint8_t> buffer;
  for (const char* split : {"train", "test"}) {
    writer.begin_split(split, data.images.shape());
    for (int64_t i = 0; i < data.images.size(); ++i) {
      writer.add(data.images.image(i, buffer), data.images.labels()[i]);
    }
  }
  writer.finish(data.images.info());
}

}  // namespace renas::test
