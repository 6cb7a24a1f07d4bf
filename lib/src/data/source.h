#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "renas/dataset.h"

namespace renas {

/// The storage behind a data set. A source does not change after construction, so threads may call
/// image() concurrently.
class DataSet::Source {
 public:
  virtual ~Source() = default;
  virtual std::span<const uint8_t> image(int64_t i, std::vector<uint8_t>& buffer) const = 0;
  /// Called only where has_masks.
  virtual std::span<const uint8_t> mask(int64_t, std::vector<uint8_t>&) const { return {}; }

  DataSetInfo info;
  Shape shape;
  std::vector<int32_t> labels;
  bool encoded = false;
  bool has_masks = false;
};

/// A source of images of one size, all in memory.
class MemorySource final : public DataSet::Source {
 public:
  std::vector<uint8_t> pixels;  // [N, height, width, channels]

  std::span<const uint8_t> image(int64_t i, std::vector<uint8_t>&) const override {
    const auto size = static_cast<std::size_t>(shape.size());
    return {pixels.data() + i * size, size};
  }
};

/// What is wrong with the means and standard deviations, which are those of values in [0, 1], for
/// people; empty: nothing.
std::string wrong_statistics(const DataSetInfo& info);

/// Checks that every label is in [0, classes). Throws InvalidInput with a message that begins with
/// `where`.
void check_labels(std::span<const int32_t> labels, int classes, const std::string& where);

// DataSet::open and DataSet::splits, where this build has HDF5.
std::shared_ptr<const DataSet::Source> open_source(const std::string& path,
                                                   const std::string& split, int64_t memory_limit);
std::vector<std::string> splits_of(const std::string& path);

}  // namespace renas
