#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "classes.h"
#include "labels.h"

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
  std::vector<std::string> class_names;  ///< of all splits, UTF-8; by label, in the order of bytes
  std::vector<Split> splits;
  std::vector<Skipped> skipped;
  std::vector<std::string> notes;  ///< what else people should know, a sentence each
};

/// Options of scan_tree.
struct TreeOptions {
  bool skip_bad = false;  ///< leave out and note what else would stop: see scan_tree
  /// By split (train, val, test): the table that says the class of each of its images, which need
  /// not lie in folders of classes.
  std::map<std::string, std::string> labels;
  bool keep_val = false;                 ///< val stays val even without a test folder
  double split = 0;                      ///< share of train that becomes test; 0: none
  uint64_t seed = 0;                     ///< decides which images that share is
  std::vector<std::string> ignore;       ///< folders beside train that are left out
  bool allow_class_differences = false;  ///< go on where check_classes() would stop
};

/// Finds DIR/train/CLASS/IMAGE and the same for val (also called valid, validation or dev) and
/// test. Sub-folders of a class belong to it. The images of a split with a table of labels may lie
/// anywhere in its folder. With options.split, a test set is drawn out of train, class by class,
/// and where there is no folder train, DIR itself is it. A val folder without a test folder becomes
/// the split `test`. A test folder whose images are in no classes and in no table is left out and
/// noted.
///
/// Throws InvalidInput, or with skip_bad leaves out and notes: a folder beside train that is none
/// of these, unless it is in options.ignore; a class without images; an image named in a table that
/// is not there; an image of the folder that the table does not name; a folder that cannot be read.
/// Always throws: no train folder, a split without images, an ill-formed table, one of val or test
/// whose classes are neither all names that train has nor all numbers, and what check_classes()
/// refuses. Files that do not end in .jpg, .jpeg or .png (in any case) are noted and left out;
/// hidden ones silently.
ImageTree scan_tree(const std::string& folder, const TreeOptions& options);

/// What check_classes() is to hold of the classes of a tree.
ClassRules class_rules(const TreeOptions& options);

}  // namespace renas::prep
