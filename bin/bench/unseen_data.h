#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "renas/dataset_writer.h"

/// Writes a data set for benchmarks that train nothing: nobody looks at its images.
inline void write_unseen_data(const std::string& path) {
  renas::DataSetWriter writer(path, true);
  for (const char* split : {"train", "test"}) {
    writer.begin_split(split, renas::Shape{1, 8, 8});
    for (int i = 0; i < 40; ++i) {
      writer.add(std::vector<uint8_t>(64, static_cast<uint8_t>(i)), i % 2);
    }
  }
  renas::DataSetInfo info;
  info.classes = 2;
  info.mean = {0.5};
  info.sd = {0.25};
  writer.finish(info);
}
