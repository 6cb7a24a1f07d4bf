#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "renas/image.h"
#include "renas/tensor.h"

namespace renas {

/// The description of a whole data set, which all of its splits share.
struct DataSetInfo {
  std::vector<std::string> class_names;  ///< by label; may be empty where only `classes` is known
  int classes = 0;
  std::vector<double> mean;  ///< mean of each channel over the training images, values in [0, 1]
  std::vector<double> sd;    ///< standard deviation of each channel, likewise
  std::string source;        ///< where the images came from, for people
  /// The range of 16-bit values that became 0 to 255 in all images that had such values, if one
  /// did.
  std::optional<Range16> range_16;
};

/// The value of a mask's pixels that do not count.
inline constexpr uint8_t kVoid = 255;

/// DataSet::open reads at most so many bytes of fixed-size images into memory.
inline constexpr int64_t kDefaultMemoryLimit = int64_t{4} << 30;

/// The images and labels of one split ("train", "val" or "test").
///
/// A data set is a value that never changes, and its copies share the images. Any number of threads
/// and loaders may therefore read one data set concurrently.
class DataSet {
 public:
  /// Makes a data set of images of one size in memory.
  ///
  /// pixels  [N, height, width, channels]
  /// labels  N class indices
  /// info    an empty mean is computed from these images, with the standard deviation; `classes` 0
  ///         becomes the number of names or the largest label + 1
  /// Throws InvalidInput where sizes disagree or a label is out of range.
  DataSet(const Shape& shape, std::vector<uint8_t> pixels, std::vector<int32_t> labels,
          DataSetInfo info = {});

  /// Makes a data set of JPEG and PNG files in memory, which are decoded to `channels` (1 or 3).
  /// info.classes, mean and sd are required. Throws InvalidInput where sizes disagree or a label is
  /// out of range.
  static DataSet from_encoded(int channels, std::vector<std::vector<uint8_t>> images,
                              std::vector<int32_t> labels, DataSetInfo info);

  /// Opens a split of a file in the project's format (lib/src/data/FORMAT.md). Images of one size
  /// are read into memory up to `memory_limit` bytes; larger sets and encoded images stay in the
  /// file and are read one by one. Throws IoError where the file is missing, not HDF5, truncated or
  /// damaged; InvalidInput where it is not a data set or its parts disagree; Unsupported where this
  /// build has no HDF5.
  static DataSet open(const std::string& path, const std::string& split,
                      int64_t memory_limit = kDefaultMemoryLimit);
  /// Lists the splits of a file in the project's format, in the order train, val, test. Throws as
  /// open() does.
  static std::vector<std::string> splits(const std::string& path);
  /// Whether splits() has `split`. Throws as open() does.
  static bool has_split(const std::string& path, const std::string& split);

  /// The images of `first`, then those of `second`, which must be of the same shape and classes;
  /// info() is that of `first`. Throws InvalidInput where they are not.
  static DataSet joined(const DataSet& first, const DataSet& second);

  int64_t size() const;  ///< number of images
  int classes() const { return info().classes; }
  const DataSetInfo& info() const;
  std::span<const int32_t> labels() const;
  /// Whether images are JPEG or PNG files of varying size, which are decoded when they are read.
  bool encoded() const;
  /// The shape of every image. Where encoded(), height and width are 0.
  const Shape& shape() const;

  /// The bytes of image `i`: pixels [height, width, channels], or where encoded() a JPEG or PNG
  /// file. The span points into the data set where that is in memory, else into `buffer`, which is
  /// resized. Threads may call this concurrently, each with its own buffer. Throws IoError where
  /// the file's bytes are damaged.
  std::span<const uint8_t> image(int64_t i, std::vector<uint8_t>& buffer) const;

  /// Whether every image has a mask, as segmentation needs.
  bool has_masks() const;
  /// The mask of image `i`: a PNG file of the image's size whose values are classes, kVoid where
  /// none is known; decode_index_map() reads it. Otherwise as image(). Throws InvalidInput where
  /// there are no masks.
  std::span<const uint8_t> mask(int64_t i, std::vector<uint8_t>& buffer) const;

  class Source;  // where the images are; lib/src/data/source.h
  explicit DataSet(std::shared_ptr<const Source> source) : source_(std::move(source)) {}

 private:
  std::shared_ptr<const Source> source_;
};

/// Indices of training and validation images, each list ascending.
struct Split {
  std::vector<int64_t> train;
  std::vector<int64_t> validation;
};

/// Holds out `count` images of those with `labels` for validation, stratified by class: each class
/// gives its proportion, largest remainders first, but its last training image only where no class
/// has another left to give. `seed` alone decides which images. Throws InvalidInput unless
/// 0 <= count <= size.
Split split_validation(std::span<const int32_t> labels, int64_t count, uint64_t seed);

/// Draws `count` of `indices`, stratified by class and decided by `seed`; the result is ascending.
/// `labels` are those of the whole data set. Throws InvalidInput unless
/// 0 <= count <= indices.size().
std::vector<int64_t> take_stratified(std::span<const int32_t> labels,
                                     const std::vector<int64_t>& indices, int64_t count,
                                     uint64_t seed);

/// The classes, by label, that have images among all `labels` but none among `indices`.
std::vector<int32_t> classes_left_out(std::span<const int32_t> labels,
                                      const std::vector<int64_t>& indices);

/// The default size of the validation set: 5,000 as in the paper, or one tenth of `size` where that
/// is less.
int64_t default_validation_count(int64_t size);

/// The indices 0, 1, ..., size - 1.
std::vector<int64_t> all_indices(int64_t size);

}  // namespace renas
