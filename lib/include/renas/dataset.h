#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "renas/tensor.h"

namespace renas {

/// What a whole data set has, beside the images of its splits.
struct DataSetInfo {
  std::vector<std::string> class_names;  ///< by label; may be empty where only `classes` is known
  int classes = 0;
  std::vector<double> mean;  ///< of each channel over the training images, values scaled to [0, 1]
  std::vector<double> sd;    ///< likewise
  std::string source;        ///< where the images came from, for people
};

/// How many bytes of fixed-size images DataSet::open reads into memory at most.
inline constexpr int64_t kDefaultMemoryLimit = int64_t{4} << 30;

/// The images and labels of one split ("train", "val" or "test").
///
/// A value whose copies share the images. Nothing in it changes, so any number of threads and
/// loaders may read one data set at a time.
class DataSet {
 public:
  /// Images of one size, in memory: `pixels` is [N, height, width, channels], `labels` N class
  /// indices. Where info.mean is empty, mean and sd are those of these images; where info.classes
  /// is 0 it is the number of names or the largest label + 1. Throws InvalidInput where sizes
  /// disagree or a label is out of range.
  DataSet(const Shape& shape, std::vector<uint8_t> pixels, std::vector<int32_t> labels,
          DataSetInfo info = {});

  /// JPEG and PNG files, in memory, to be decoded to `channels` (1 or 3). info.classes, mean and sd
  /// are required. Throws InvalidInput as above.
  static DataSet from_encoded(int channels, std::vector<std::vector<uint8_t>> images,
                              std::vector<int32_t> labels, DataSetInfo info);

  /// A split of a file in the project's format (lib/src/data/FORMAT.md). Images of one size are
  /// read into memory up to `memory_limit` bytes; larger sets and encoded images stay in the file
  /// and are read one by one. Throws IoError where the file is missing, not HDF5, truncated or
  /// damaged, InvalidInput where it is not a data set or its parts disagree; Unsupported where this
  /// build has no HDF5.
  static DataSet open(const std::string& path, const std::string& split,
                      int64_t memory_limit = kDefaultMemoryLimit);
  /// The splits of a file in the project's format, of train, val, test in this order.
  static std::vector<std::string> splits(const std::string& path);

  int64_t size() const;  ///< number of images
  int classes() const { return info().classes; }
  const DataSetInfo& info() const;
  std::span<const int32_t> labels() const;
  /// Whether images are JPEG or PNG files of varying size, to be decoded as they are read.
  bool encoded() const;
  /// Of every image. Where encoded(): height and width are 0.
  const Shape& shape() const;

  /// The bytes of image `i`: pixels [height, width, channels], or where encoded() a JPEG or PNG
  /// file. Points into the data set where it is in memory, else into `buffer`, which is resized.
  /// Thread-safe with a buffer a thread. Throws IoError where the file's bytes are damaged.
  std::span<const uint8_t> image(int64_t i, std::vector<uint8_t>& buffer) const;
  /// Another name of image().
  std::span<const uint8_t> picture(int64_t i, std::vector<uint8_t>& buffer) const {
    return image(i, buffer);
  }

  class Source;  // where the images are; lib/src/data/source.h
  explicit DataSet(std::shared_ptr<const Source> source) : source_(std::move(source)) {}

 private:
  std::shared_ptr<const Source> source_;
};

/// Indices of images, each list ascending.
struct Split {
  std::vector<int64_t> train;
  std::vector<int64_t> validation;
};

/// Holds `count` images out of those with `labels`: each class in proportion (largest remainders
/// first), which ones decided by `seed` alone. Throws InvalidInput unless 0 <= count <= size.
Split split_validation(std::span<const int32_t> labels, int64_t count, uint64_t seed);

/// `count` of `indices`, each class in proportion, decided by `seed`; ascending. `labels` are those
/// of the whole data set. Throws InvalidInput unless 0 <= count <= indices.size().
std::vector<int64_t> take_stratified(std::span<const int32_t> labels,
                                     const std::vector<int64_t>& indices, int64_t count,
                                     uint64_t seed);

/// 5,000 as in the paper, or one tenth of `size` where that is less.
int64_t default_validation_count(int64_t size);

/// 0, 1, ..., size - 1.
std::vector<int64_t> all_indices(int64_t size);

}  // namespace renas
