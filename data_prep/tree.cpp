#include "tree.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <map>
#include <optional>
#include <set>

#include "files.h"
#include "image_names.h"
#include "names.h"
#include "renas/dataset.h"
#include "renas/error.h"

namespace renas::prep {
namespace {

namespace fs = std::filesystem;

constexpr const char* kValNames[] = {"val", "valid", "validation", "dev"};

std::string ending_of(const std::string& name) {
  const auto dot = name.find_last_of('.');
  return dot == std::string::npos ? "" : lower_case(name.substr(dot + 1));
}

bool is_image(const std::string& name) {
  static const std::set<std::string> endings{"jpg", "jpeg", "jpe", "jfif", "png"};
  return endings.count(ending_of(name)) > 0;
}

std::string why_no_image(const std::string& name) {
  static const std::set<std::string> others{"bmp", "gif",  "tif",  "tiff", "webp", "ppm", "pgm",
                                            "pbm", "heic", "heif", "avif", "jp2",  "dcm", "npy"};
  return others.count(ending_of(name)) > 0
             ? "pictures of other formats (convert them to PNG or JPEG)"
             : "not named .jpg, .jpeg or .png";
}

class Scan {
 public:
  Scan(const std::string& folder, const TreeOptions& options)
      : folder_(folder), options_(options) {}

  ImageTree run() {
    find_splits();
    for (Found& found : found_) {
      if (table_of(found.name).empty()) {
        find_classes(found);
      } else {
        read_table(found);
      }
    }
    leave_out_unlabelled_test();
    name_classes();
    for (const Found& found : found_) add_split(found);
    if (options_.split > 0) draw_test();
    name_val();
    int64_t nested = 0;
    for (const Found& found : found_) nested += found.nested;
    if (nested > 0) {
      tree_.notes.push_back(fmt::format("taken from sub-folders of classes: {}", nested));
    }
    check();
    return std::move(tree_);
  }

 private:
  struct Entry {
    std::string name;
    bool folder = false;
  };
  // An image whose class is known by name, or by what a table says.
  struct Labelled {
    std::string path;
    std::string label;
    std::size_t line = 0;  // of the table
  };
  // A folder of a split.
  struct Found {
    std::string name;    // train, val or test
    std::string folder;  // its path
    std::vector<Labelled> images = {};
    std::set<std::string> classes = {};  // folders that have images
    int64_t loose = 0;                   // images outside classes
    int64_t nested = 0;                  // images in sub-folders of classes
  };

  std::string table_of(const std::string& split) const {
    const auto table = options_.labels.find(split);
    return table == options_.labels.end() ? "" : table->second;
  }

  void skip(const std::string& reason, const std::string& path) {
    tree_.skipped.push_back({reason, path});
  }

  void bad(const std::string& reason, const std::string& path) {
    if (!options_.skip_bad) {
      throw InvalidInput(
          fmt::format("{}: {} (--skip-bad leaves such things out and counts them)", path, reason));
    }
    skip(reason, path);
  }

  // Lists a folder without what is hidden, sorted by the bytes of the names. This order does not
  // depend on the system or its language.
  std::vector<Entry> list(const std::string& folder) {
    std::vector<Entry> entries;
    std::error_code failure;
    fs::directory_iterator at(folder, failure);
    for (; !failure && at != fs::directory_iterator(); at.increment(failure)) {
      const std::string name = at->path().filename().string();
      if (name.empty() || name[0] == '.' || name == "__MACOSX") continue;
      std::error_code ignored;
      entries.push_back({name, at->is_directory(ignored)});
    }
    if (failure) bad("cannot read the folder: " + failure.message(), folder);
    std::sort(entries.begin(), entries.end(),
              [](const Entry& a, const Entry& b) { return a.name < b.name; });
    return entries;
  }

  // Finds which folders are train, val and test.
  void find_splits() {
    std::string train = folder_ + "/train";
    if (!fs::is_directory(train)) {
      if (options_.split == 0) {
        throw InvalidInput(fmt::format(
            "{}: no folder train in it; expected train/CLASS/IMAGE, and val and test likewise. "
            "Where the classes lie in it without splits, --split 0.1 makes a tenth of each the "
            "test set",
            folder_));
      }
      found_.push_back({.name = "train", .folder = folder_});
    } else {
      found_.push_back({.name = "train", .folder = train});
      find_splits_beside_train();
    }
    for (const auto& [split, table] : options_.labels) {
      if (!table.empty() && !has(split)) {
        throw InvalidInput(
            fmt::format("--{}-labels: there is no folder {}/{}", split, folder_, split));
      }
    }
    if (options_.split > 0 && has("test")) {
      throw InvalidInput(fmt::format(
          "--split: {} has a folder test already; --ignore test leaves it out", folder_));
    }
  }

  void find_splits_beside_train() {
    std::set<std::string> missing(options_.ignore.begin(), options_.ignore.end());
    std::optional<std::string> val;
    bool test = false;
    for (const Entry& entry : list(folder_)) {
      const std::string path = folder_ + "/" + entry.name;
      missing.erase(entry.name);
      if (!entry.folder) {
        if (is_image(entry.name)) skip("beside the splits", path);
      } else if (entry.name == "train") {
        continue;
      } else if (is_ignored(path)) {
        skip("a folder to be ignored", path);
      } else if (std::find(std::begin(kValNames), std::end(kValNames), entry.name) !=
                 std::end(kValNames)) {
        if (val) {
          throw InvalidInput(fmt::format(
              "{}: both {} and {} are names of the split val; --ignore {} leaves one out", folder_,
              *val, entry.name, entry.name));
        }
        val = entry.name;
      } else if (entry.name == "test") {
        test = true;
      } else {
        bad(fmt::format("a folder beside train that is neither val (valid, validation, dev) nor "
                        "test; --ignore {} goes on without it",
                        entry.name),
            path);
      }
    }
    if (!missing.empty()) {
      throw InvalidInput(
          fmt::format("--ignore {}: there is no such thing in {}", *missing.begin(), folder_));
    }
    if (val) found_.push_back({.name = "val", .folder = folder_ + "/" + *val});
    if (test) found_.push_back({.name = "test", .folder = folder_ + "/test"});
  }

  // Whether a folder directly in the tree is in options.ignore.
  bool is_ignored(const std::string& path) const {
    return std::any_of(options_.ignore.begin(), options_.ignore.end(),
                       [&](const std::string& name) { return path == folder_ + "/" + name; });
  }

  bool has(const std::string& split) const {
    return std::any_of(found_.begin(), found_.end(),
                       [&](const Found& found) { return found.name == split; });
  }

  // What tells a folder from all others, whatever its path.
  using Identity = std::pair<dev_t, ino_t>;
  static Identity identity_of(const std::string& folder) {
    struct stat status = {};
    if (::stat(folder.c_str(), &status) != 0) return {};
    return {status.st_dev, status.st_ino};
  }

  // Images of a folder of the tree and of its sub-folders, as paths within it, sorted by bytes.
  std::vector<std::string> images_in(const std::string& folder) {
    return images_in(folder, {identity_of(folder_), identity_of(fs::path(folder).parent_path())});
  }
  // `above` are the folders that it lies in, so that a link to one of them does not lead round in
  // circles.
  std::vector<std::string> images_in(const std::string& folder, std::vector<Identity> above) {
    const Identity self = identity_of(folder);
    if (folder != folder_ && std::find(above.begin(), above.end(), self) != above.end()) {
      skip("a link to a folder that it lies in", folder);
      return {};
    }
    above.push_back(self);
    std::vector<std::string> images;
    for (const Entry& entry : list(folder)) {
      const std::string path = folder + "/" + entry.name;
      if (entry.folder) {
        for (const std::string& image : images_in(path, above)) {
          images.push_back(entry.name + "/" + image);
        }
      } else if (is_image(entry.name)) {
        images.push_back(entry.name);
      } else {
        skip(why_no_image(entry.name), path);
      }
    }
    std::sort(images.begin(), images.end());
    return images;
  }

  void find_classes(Found& split) {
    for (const Entry& entry : list(split.folder)) {
      const std::string path = split.folder + "/" + entry.name;
      if (!entry.folder) {
        if (is_image(entry.name)) ++split.loose;
        skip("not in a class", path);
        continue;
      }
      if (is_ignored(path)) {
        skip("a folder to be ignored", path);
        continue;
      }
      const std::vector<std::string> images = images_in(path);
      if (images.empty()) {
        bad("a class without images", path);
        continue;
      }
      const std::string name = as_utf8(entry.name);
      if (name != entry.name) latin_1_.insert(name);
      split.classes.insert(name);
      for (const std::string& image : images) {
        split.images.push_back({fmt::format("{}/{}", path, image), name});
        split.nested += image.find('/') != std::string::npos ? 1 : 0;
      }
    }
  }

  void read_table(Found& split) {
    const std::string table = table_of(split.name);
    const std::vector<std::string> images = images_in(split.folder);
    const ImageNames names(images);
    std::vector<bool> named(images.size());
    for (const LabelLine& line : parse_labels(read_lines(table), table)) {
      const std::optional<std::size_t> image = names.find(line.name, table);
      if (!image) {
        bad("named in the label file, but not there", split.folder + "/" + line.name);
        continue;
      }
      if (named[*image]) throw InvalidInput(fmt::format("{}: names {} twice", table, line.name));
      named[*image] = true;
      const std::string label = as_utf8(line.label);
      if (label != line.label) latin_1_.insert(label);
      split.images.push_back({split.folder + "/" + images[*image], label, line.number});
    }
    for (std::size_t i = 0; i < images.size(); ++i) {
      if (!named[i]) bad("not named in the label file", split.folder + "/" + images[i]);
    }
    if (split.images.empty()) throw InvalidInput(fmt::format("{}: no images", split.folder));
  }

  // Whether the images of a split without a table lie outside classes: loose in its folder, or all
  // in one folder `images`, as in Tiny ImageNet, which train does not have as a class.
  bool is_unlabelled(const Found& split) const {
    if (!table_of(split.name).empty()) return false;
    if (split.images.empty()) return split.loose > 0;
    const bool one_folder = split.classes == std::set<std::string>{"images"};
    return one_folder && found_.front().classes.count("images") == 0;
  }

  void leave_out_unlabelled_test() {
    const auto test = std::find_if(found_.begin(), found_.end(),
                                   [](const Found& split) { return split.name == "test"; });
    if (test == found_.end() || !is_unlabelled(*test)) return;
    const auto count = test->loose + static_cast<int64_t>(test->images.size());
    tree_.notes.push_back(fmt::format(
        "the folder test was left out: its {} images have no labels (--test-labels FILE says them)",
        count));
    std::erase_if(tree_.skipped, [&](const ImageTree::Skipped& skipped) {
      return skipped.reason == "not in a class" && skipped.path.rfind(test->folder + "/", 0) == 0;
    });
    found_.erase(test);
  }

  // Finds the classes of all splits together, so that a label means the same in each.
  void name_classes() {
    std::set<std::string> names;
    for (const Found& split : found_) {
      // The labels of val and test in a table may be numbers, of the classes that folders name.
      if (!table_of(split.name).empty() && split.name != "train") continue;
      for (const Labelled& image : split.images) names.insert(image.label);
      if (is_unlabelled(split) || split.images.empty()) refuse_unlabelled(split);
    }
    tree_.class_names.assign(names.begin(), names.end());
    named_by_numbers_ = std::all_of(names.begin(), names.end(), [](const std::string& name) {
      return name.size() <= 9 && std::all_of(name.begin(), name.end(),
                                             [](unsigned char c) { return std::isdigit(c) != 0; });
    });
    if (named_by_numbers_ && !table_of("train").empty()) {
      std::sort(tree_.class_names.begin(), tree_.class_names.end(),
                [](const std::string& a, const std::string& b) {
                  return std::pair(std::stoi(a), a) < std::pair(std::stoi(b), b);
                });
    }
    for (std::size_t i = 0; i < tree_.class_names.size(); ++i) {
      labels_[tree_.class_names[i]] = static_cast<int32_t>(i);
    }
    if (!latin_1_.empty()) {
      tree_.notes.push_back(fmt::format("class names that are not UTF-8, taken as Latin-1: {}",
                                        some_of({latin_1_.begin(), latin_1_.end()})));
    }
  }

  [[noreturn]] void refuse_unlabelled(const Found& split) const {
    std::string hint;
    for (const char* name : {"val_annotations.txt", "../LOC_val_solution.csv"}) {
      std::error_code ignored;
      const std::string path = split.folder + "/" + name;
      if (split.name == "val" && fs::exists(path, ignored)) {
        hint = fmt::format(" (perhaps {})", path);
      }
    }
    throw InvalidInput(fmt::format(
        "{}: no images in folders of classes; where they lie in one folder, as those of "
        "ImageNet's val, --{}-labels FILE says the class of each{}",
        split.folder, split.name, hint));
  }

  void add_split(const Found& found) {
    ImageTree::Split split{found.name, found.folder, {}};
    const auto named =
        std::find_if(found.images.begin(), found.images.end(),
                     [&](const Labelled& image) { return labels_.count(image.label) > 0; });
    for (const Labelled& image : found.images) {
      split.images.push_back(
          {image.path, label_of(image, found, named == found.images.end() ? nullptr : &*named)});
    }
    std::sort(split.images.begin(), split.images.end(), [](const auto& a, const auto& b) {
      return a.label != b.label ? a.label < b.label : a.path < b.path;
    });
    tree_.splits.push_back(std::move(split));
  }

  // A table gives all classes by name, or all by number. `named` is the first image of the split
  // that has the name of a class, null where none has. Where names are numbers, so is every number.
  int32_t label_of(const Labelled& image, const Found& found, const Labelled* named) const {
    const auto known = labels_.find(image.label);
    if (known != labels_.end()) return known->second;
    const std::size_t classes = tree_.class_names.size();
    std::size_t number = 0;
    const char* const end = image.label.data() + image.label.size();
    const auto [rest, failure] = std::from_chars(image.label.data(), end, number);
    const bool is_number = failure == std::errc() && rest == end && number < classes;
    if (is_number && named == nullptr && !named_by_numbers_) return static_cast<int32_t>(number);
    const std::string what =
        fmt::format("{}, line {}: class '{}' is", table_of(found.name), image.line, image.label);
    if (named != nullptr) {
      throw InvalidInput(fmt::format(
          "{} not the name of a class of {}, as '{}' in line {} is; a table gives all classes by "
          "name, or all by number",
          what, folder_, named->label, named->line));
    }
    if (named_by_numbers_) {
      throw InvalidInput(fmt::format("{} none of the classes of {}, whose names are numbers: {}",
                                     what, folder_, some_of(tree_.class_names)));
    }
    throw InvalidInput(fmt::format("{} neither the name of a class of {} nor a number from 0 to {}",
                                   what, folder_, classes - 1));
  }

  // Draws the test set out of train.
  void draw_test() {
    ImageTree::Split& train = tree_.splits.front();
    std::vector<int32_t> labels;
    for (const ImageTree::Image& image : train.images) labels.push_back(image.label);
    const auto size = static_cast<double>(labels.size());
    const auto count = static_cast<int64_t>(std::llround(size * options_.split));
    const renas::Split drawn = split_validation(labels, count, options_.seed);
    if (drawn.validation.empty() || drawn.train.empty()) {
      throw InvalidInput(
          fmt::format("--split {}: of {} images that leaves {} for train and {} for "
                      "test; both need some",
                      options_.split, labels.size(), drawn.train.size(), drawn.validation.size()));
    }
    ImageTree::Split test{"test", train.folder, {}};
    std::vector<ImageTree::Image> rest;
    for (const int64_t i : drawn.validation) test.images.push_back(train.images[i]);
    for (const int64_t i : drawn.train) rest.push_back(train.images[i]);
    train.images = std::move(rest);
    tree_.notes.push_back(fmt::format("test was drawn out of {}: {} of {} images, seed {}",
                                      train.folder, drawn.validation.size(), labels.size(),
                                      options_.seed));
    tree_.splits.push_back(std::move(test));
  }

  // Without a test set val is it.
  void name_val() {
    for (ImageTree::Split& split : tree_.splits) {
      if (split.name != "val") continue;
      const std::string folder = last_part(split.folder);
      const bool has_test = tree_.splits.back().name == "test";
      if (!has_test && !options_.keep_val) {
        split.name = "test";
        tree_.notes.push_back(fmt::format(
            "the folder {} is the split test, since there is no folder test (--keep-val)", folder));
      } else if (folder != "val") {
        tree_.notes.push_back(fmt::format("the folder {} is the split val", folder));
      }
    }
  }

  void check() {
    ClassCounts counts;
    for (const ImageTree::Split& split : tree_.splits) {
      std::vector<int64_t>& of_split = counts[split.name];
      of_split.resize(tree_.class_names.size());
      for (const ImageTree::Image& image : split.images) ++of_split[image.label];
    }
    check_classes(folder_, tree_.class_names, counts, class_rules(options_));
  }

  std::string folder_;
  TreeOptions options_;
  ImageTree tree_;
  std::vector<Found> found_;  // train first
  std::map<std::string, int32_t> labels_;
  bool named_by_numbers_ = false;  // the names of all classes are numbers
  std::set<std::string> latin_1_;  // class names that were not UTF-8
};

}  // namespace

ImageTree scan_tree(const std::string& folder, const TreeOptions& options) {
  return Scan(folder, options).run();
}

ClassRules class_rules(const TreeOptions& options) {
  // What was left out or drawn at random may have taken a class its only test image.
  const bool may_lack_test = options.skip_bad || options.split > 0;
  return {.allow_differences = options.allow_class_differences,
          .each_has_images = true,
          .each_has_test_images = !may_lack_test,
          .case_matters = true};
}

}  // namespace renas::prep
