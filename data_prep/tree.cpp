#include "tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <filesystem>
#include <map>
#include <set>

#include "files.h"
#include "renas/error.h"

namespace renas::prep {
namespace {

namespace fs = std::filesystem;

bool is_image(const std::string& name) {
  const auto dot = name.find_last_of('.');
  if (dot == std::string::npos) return false;
  std::string end = name.substr(dot + 1);
  for (char& c : end) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return end == "jpg" || end == "jpeg" || end == "png";
}

class Scan {
 public:
  Scan(const std::string& folder, const TreeOptions& options)
      : folder_(folder), options_(options) {}

  ImageTree run() {
    const std::string train = folder_ + "/train";
    if (!fs::is_directory(train)) {
      throw InvalidInput(fmt::format(
          "{}: no folder train in it; expected train/CLASS/IMAGE, and val and test likewise",
          folder_));
    }
    find_classes();
    add_split("train", train);
    const bool has_test = fs::is_directory(folder_ + "/test");
    if (fs::is_directory(folder_ + "/val")) {
      add_split(has_test || options_.keep_val ? "val" : "test", folder_ + "/val");
    } else if (!options_.val_labels.empty()) {
      throw InvalidInput(fmt::format("--val-labels: there is no folder {}/val", folder_));
    }
    if (has_test) add_split("test", folder_ + "/test");
    return std::move(tree_);
  }

 private:
  struct Entry {
    std::string name;
    bool folder = false;
  };

  void bad(const std::string& reason, const std::string& path) {
    if (!options_.skip_bad) {
      throw InvalidInput(
          fmt::format("{}: {} (--skip-bad leaves such things out and counts them)", path, reason));
    }
    tree_.skipped.push_back({reason, path});
  }

  // Lists a folder, sorted by the bytes of the names. This order does not depend on the system or
  // its language.
  std::vector<Entry> list(const std::string& folder) {
    std::vector<Entry> entries;
    std::error_code failure;
    fs::directory_iterator at(folder, failure);
    for (; !failure && at != fs::directory_iterator(); at.increment(failure)) {
      const std::string name = at->path().filename().string();
      if (name.empty() || name[0] == '.') continue;
      std::error_code ignored;
      entries.push_back({name, at->is_directory(ignored)});
    }
    if (failure) bad("cannot read the folder: " + failure.message(), folder);
    std::sort(entries.begin(), entries.end(),
              [](const Entry& a, const Entry& b) { return a.name < b.name; });
    return entries;
  }

  std::vector<std::string> images_in(const std::string& folder) {
    std::vector<std::string> names;
    for (const Entry& entry : list(folder)) {
      if (!entry.folder && is_image(entry.name)) {
        names.push_back(entry.name);
      } else {
        tree_.skipped.push_back(
            {entry.folder ? "a folder within a class" : "not named .jpg, .jpeg or .png",
             folder + "/" + entry.name});
      }
    }
    return names;
  }

  // Finds the classes of all splits together, so that a label means the same in each.
  void find_classes() {
    std::set<std::string> names;
    for (const char* split : {"train", "val", "test"}) {
      const std::string folder = folder_ + "/" + split;
      if (!fs::is_directory(folder)) continue;
      const bool flat = std::string(split) == "val" && !options_.val_labels.empty();
      for (const Entry& entry : list(folder)) {
        const std::string path = folder + "/" + entry.name;
        if (flat) continue;
        if (!entry.folder) {
          tree_.skipped.push_back({"not in a class", path});
          continue;
        }
        found_[path] = images_in(path);
        if (found_[path].empty()) {
          bad("a class without images", path);
        } else {
          names.insert(entry.name);
        }
      }
    }
    tree_.class_names.assign(names.begin(), names.end());
    for (std::size_t i = 0; i < tree_.class_names.size(); ++i) {
      labels_[tree_.class_names[i]] = static_cast<int32_t>(i);
    }
  }

  void add_split(const std::string& name, const std::string& folder) {
    ImageTree::Split split{name, folder, {}};
    const bool val = folder == folder_ + "/val";
    if (val && !options_.val_labels.empty()) {
      add_flat(split);
    } else {
      add_classes(split);
    }
    tree_.splits.push_back(std::move(split));
  }

  void add_classes(ImageTree::Split& split) {
    for (const auto& [name, label] : labels_) {
      const std::string path = split.folder + "/" + name;
      const auto found = found_.find(path);
      if (found == found_.end()) continue;
      for (const std::string& image : found->second) {
        split.images.push_back({path + "/" + image, label});
      }
    }
    if (split.images.empty()) {
      throw InvalidInput(
          fmt::format("{}: no images in folders of classes; for ImageNet's flat val folder, "
                      "--val-labels FILE says "
                      "the class of each",
                      split.folder));
    }
  }

  void add_flat(ImageTree::Split& split) {
    std::map<std::string, std::string> paths;  // by name, and by name without its ending
    std::set<std::string> unnamed;
    for (const std::string& name : images_in(split.folder)) {
      paths[name] = name;
      paths.emplace(name.substr(0, name.find_last_of('.')), name);
      unnamed.insert(name);
    }
    for (const LabelLine& line :
         parse_labels(read_lines(options_.val_labels), options_.val_labels)) {
      const auto path = paths.find(line.name);
      if (path == paths.end()) {
        bad("named in the label file, but not there", split.folder + "/" + line.name);
        continue;
      }
      if (unnamed.erase(path->second) == 0) {
        throw InvalidInput(fmt::format("{}: names {} twice", options_.val_labels, line.name));
      }
      split.images.push_back({split.folder + "/" + path->second, label_of(line)});
    }
    for (const std::string& name : unnamed) {
      bad("not named in the label file", split.folder + "/" + name);
    }
    if (split.images.empty()) throw InvalidInput(fmt::format("{}: no images", split.folder));
    std::sort(split.images.begin(), split.images.end(), [](const auto& a, const auto& b) {
      return a.label != b.label ? a.label < b.label : a.path < b.path;
    });
  }

  int32_t label_of(const LabelLine& line) {
    const auto known = labels_.find(line.label);
    if (known != labels_.end()) return known->second;
    int32_t number = -1;
    const char* const end = line.label.data() + line.label.size();
    const auto [rest, failure] = std::from_chars(line.label.data(), end, number);
    if (failure == std::errc() && rest == end && number >= 0 &&
        number < static_cast<int32_t>(tree_.class_names.size())) {
      return number;
    }
    throw InvalidInput(fmt::format(
        "{}: class '{}' of {} is neither the folder of a class in {} nor a number from 0 to {}",
        options_.val_labels, line.label, line.name, folder_, tree_.class_names.size() - 1));
  }

  std::string folder_;
  TreeOptions options_;
  ImageTree tree_;
  std::map<std::string, int32_t> labels_;
  std::map<std::string, std::vector<std::string>> found_;  // images by train's class folders
};

}  // namespace

std::vector<LabelLine> parse_labels(const std::vector<std::string>& lines,
                                    const std::string& name) {
  std::vector<LabelLine> result;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::string& line = lines[i];
    if (i == 0 && line.rfind("ImageId,", 0) == 0) continue;
    const auto cut = line.find_first_of(" \t,");
    const auto begin = line.find_first_not_of(" \t,", cut);
    if (cut == std::string::npos || cut == 0 || begin == std::string::npos) {
      throw InvalidInput(fmt::format(
          "{}, line {}: expected an image's name and its class, got '{}'", name, i + 1, line));
    }
    const auto end = line.find_first_of(" \t,", begin);
    result.push_back({line.substr(0, cut), line.substr(begin, end - begin)});
  }
  if (result.empty()) throw InvalidInput(fmt::format("{}: no lines", name));
  return result;
}

ImageTree scan_tree(const std::string& folder, const TreeOptions& options) {
  return Scan(folder, options).run();
}

}  // namespace renas::prep
