#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace renas::prep {

/// The images of a folder, found by their names alone; nothing is decoded.
struct ImageTree {
  struct Image {
    std::string path;
    int32_t label = 0;
  };
  struct Split {
    std::string name;           ///< train, val or test
    std::string folder;         ///< the folder that it came from
    std::vector<Image> images;  ///< by class, then name
  };
  struct Skipped {
    std::string reason;
    std::string path;
  };
  std::vector<std::string> class_names;  ///< of all splits; by label, in the order of bytes
  std::vector<Split> splits;
  std::vector<Skipped> skipped;
};

/// Options of scan_tree.
struct TreeOptions {
  bool skip_bad = false;   ///< leave out and note what else would stop: see scan_tree
  std::string val_labels;  ///< file that says the class of each image of a flat val folder
  bool keep_val = false;   ///< val stays val even without a test folder
};

/// Finds DIR/train/CLASS/IMAGE and the same for val and test; a val (or test) folder may be flat,
/// as ImageNet's, with options.val_labels. A val folder without a test folder becomes the split
/// `test`.
///
/// Throws InvalidInput, or with skip_bad leaves out and notes: a class without images; an image
/// named in the label file that is not there; an image of the folder that the file does not name;
/// a folder that cannot be read. Always throws: no train folder, a split without images, an
/// ill-formed label file. Files that do not end in .jpg, .jpeg or .png (in any case) are noted and
/// left out; hidden ones silently.
ImageTree scan_tree(const std::string& folder, const TreeOptions& options);

/// A line of a label file: an image's name and its class, by name or number.
struct LabelLine {
  std::string name;
  std::string label;
};
/// Lines "NAME CLASS", separated by blanks, tabs or a comma; what follows the class is ignored, so
/// that LOC_val_solution.csv of the ImageNet challenge will do; so is its first line,
/// "ImageId,...". Throws InvalidInput with the line's number.
std::vector<LabelLine> parse_labels(const std::vector<std::string>& lines, const std::string& name);

}  // namespace renas::prep
