#pragma once

#include <cstdint>
#include <map>
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
  /// How many pictures lie in folders that are no class of the model, by the name of the folder.
  virtual std::map<std::string, int64_t> no_class() const { return {}; }
};

struct PictureRequest {
  std::vector<std::string> inputs;  ///< files, folders, data sets, "-"
  std::string split;                ///< of a folder or data set that has several; empty: see below
  std::vector<std::string> class_names;  ///< of the model
  int classes = 0;
};

/// Finds the pictures of a request.
///
/// A folder stands for all JPEG and PNG files below it, in the order of their names, found as
/// renas-prep-images finds them: links are followed, hidden files and folders left out. A file is
/// of the class that the first folder on the way to it is named as, or else the given folder
/// itself, with names as UTF-8. A sub-folder that cannot be read counts as a picture that cannot. A
/// folder or data set with splits stands for one of them: the one asked for, else test, else val
/// (as folder also valid, validation or dev), else train; a folder named as a class of the model is
/// no split. "-" stands for standard input: a picture, or names of files, one a line.
///
/// The classes of a data set are the model's by their names; equal lists, by their order. Throws
/// InvalidInput where an input does not exist, nothing is found, the classes of a data set are not
/// the model's, or a name is that of several classes; IoError, which names the file, where the
/// system refuses.
std::unique_ptr<Pictures> find_pictures(const PictureRequest& request);

}  // namespace renas::cli
