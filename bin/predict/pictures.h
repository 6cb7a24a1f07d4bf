#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "renas/predictor.h"

namespace renas::cli {

/// The pictures whose classes are asked for: files, or a split of a data set.
class Pictures {
 public:
  virtual ~Pictures() = default;
  virtual int64_t size() const = 0;
  /// For people: the file, or the split and the image's number in it.
  virtual std::string name(int64_t i) const = 0;
  /// The class that the picture is known to be of; none: not known.
  virtual std::optional<int> label(int64_t i) const = 0;
  /// Scores of the classes. Throws Error where the picture cannot be read. Threads may call this
  /// concurrently, each with its own predictor.
  virtual std::vector<float> scores(int64_t i, Predictor& predictor) const = 0;
};

struct PictureRequest {
  std::vector<std::string> inputs;  ///< files, folders, data sets, "-"
  std::string split;                ///< of a folder or data set that has several; empty: see below
  std::vector<std::string> class_names;  ///< of the model
  int classes = 0;
};

/// Finds the pictures of a request.
///
/// A folder stands for all JPEG and PNG files below it, in the order of their names. A file whose
/// folder is named as a class is of that class. A folder or data set with splits stands for one of
/// them: the one asked for, else test, else val. "-" stands for standard input: a picture, or names
/// of files, one a line. Throws InvalidInput where an input does not exist, nothing is found, or
/// the classes of a data set are not the model's.
std::unique_ptr<Pictures> find_pictures(const PictureRequest& request);

}  // namespace renas::cli
