#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "renas/dataset.h"
#include "renas/tensor.h"

namespace renas {

/// Sums of 8-bit values by channel, in integers: the same mean and sd in whatever order added.
class ChannelStatistics {
 public:
  explicit ChannelStatistics(int channels = 0);
  /// `pixels` [..., channels].
  void add(std::span<const uint8_t> pixels);
  void add(const ChannelStatistics& other);
  std::vector<double> mean() const;  ///< scaled to [0, 1]; 0 where nothing was added
  std::vector<double> sd() const;    ///< likewise, over all pixels; 1 where it would be 0

 private:
  int64_t count_ = 0;
  std::vector<uint64_t> sum_;
  std::vector<uint64_t> squares_;
};

/// Writes a file in the project's format (lib/src/data/FORMAT.md), split after split.
///
/// Until finish() the bytes are in `PATH.partial`: a killed writer leaves nothing that looks
/// finished. All functions throw IoError where the file cannot be written, with the system's
/// reason.
class DataSetWriter {
 public:
  /// Throws InvalidInput where `path` exists and `force` is not set, Unsupported without HDF5.
  explicit DataSetWriter(const std::string& path, bool force = false);
  DataSetWriter(const DataSetWriter&) = delete;
  DataSetWriter& operator=(const DataSetWriter&) = delete;
  /// Removes what was written unless finish() succeeded.
  ~DataSetWriter();

  /// Images added from here on are of split `name` and of `shape`; a height and width of 0 stand
  /// for encoded images of varying size; `expected_bytes`, of all of these, helps to choose
  /// chunks that are quick to find in very large files.
  void begin_split(const std::string& name, const Shape& shape, int64_t expected_bytes = 0);
  /// Pixels [height, width, channels], or the bytes of a JPEG or PNG file, as the split calls for.
  /// Throws InvalidInput where a fixed-size image has another number of bytes.
  void add(std::span<const uint8_t> image, int32_t label);
  /// Many images of one size after each other.
  void add_all(std::span<const uint8_t> images, std::span<const int32_t> labels);
  /// Writes the rest and gives the file its name. info.classes, mean and sd are required.
  /// Throws InvalidInput where they do not fit the images.
  void finish(const DataSetInfo& info);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace renas
