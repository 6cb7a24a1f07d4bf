#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "renas/dataset.h"
#include "renas/image.h"
#include "renas/tensor.h"

namespace renas {

/// Accumulates the mean and standard deviation of each channel of 8-bit images. The sums are
/// integers, so the order of adding does not change the result.
class ChannelStatistics {
 public:
  explicit ChannelStatistics(int channels = 0);
  /// Adds every pixel of `pixels` [..., channels].
  void add(std::span<const uint8_t> pixels);
  void add(const ChannelStatistics& other);
  std::vector<double> mean() const;  ///< of values in [0, 1]; 0 where nothing was added
  std::vector<double> sd() const;    ///< of values in [0, 1]; 1 where it would be 0

 private:
  int64_t count_ = 0;
  std::vector<uint64_t> sum_;
  std::vector<uint64_t> squares_;
};

/// Writes a file in the project's format (lib/src/data/FORMAT.md), split after split.
///
/// Until finish() the bytes are in a partial file beside `path`, so that a killed writer leaves
/// nothing that looks finished. All functions throw IoError with the system's reason where the file
/// cannot be written.
class DataSetWriter {
 public:
  /// Creates the partial file. Throws InvalidInput where `path` exists and `force` is not set,
  /// Unsupported without HDF5.
  explicit DataSetWriter(const std::string& path, bool force = false);
  DataSetWriter(const DataSetWriter&) = delete;
  DataSetWriter& operator=(const DataSetWriter&) = delete;
  /// Removes what was written unless finish() succeeded.
  ~DataSetWriter();

  /// Begins split `name`, whose images are of `shape`; a height and width of 0 stand for encoded
  /// images of varying size. `expected_bytes` is the size of all encoded images of the split, if
  /// known: HDF5 finds the chunks of very large files faster where they are larger. Throws
  /// InvalidInput where the name or shape is none, or the split was written before.
  void begin_split(const std::string& name, const Shape& shape, int64_t expected_bytes = 0);
  /// Adds one image: pixels [height, width, channels], or in an encoded split the bytes of a JPEG
  /// or PNG file. Throws InvalidInput where a fixed-size image has another number of bytes.
  void add(std::span<const uint8_t> image, int32_t label);
  /// Adds an encoded image and its mask: an index map of the image's size, [height, width, 1],
  /// whose values are classes or kVoid. In a split either all images have masks or none. Throws
  /// InvalidInput where that, or a size, is otherwise.
  void add_pair(std::span<const uint8_t> image, const Image& mask, int32_t label);
  /// Adds images of one size; `images` is [labels.size(), height, width, channels]. Throws
  /// InvalidInput where it has another number of bytes.
  void add_all(std::span<const uint8_t> images, std::span<const int32_t> labels);
  /// Writes what is left, checks the file and renames it to `path`. info.classes, mean and sd are
  /// required. Throws InvalidInput where they do not fit the images.
  void finish(const DataSetInfo& info);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace renas
