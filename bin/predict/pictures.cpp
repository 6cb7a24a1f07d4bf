#include "predict/pictures.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string_view>
#include <system_error>
#include <utility>

#include "cli/frame.h"
#include "predict/read_picture.h"
#include "renas/dataset.h"
#include "renas/error.h"

namespace fs = std::filesystem;

namespace renas::cli {
namespace {

constexpr std::array kSplits{"test", "val", "train"};  // the first that is there is taken

std::span<const uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

struct File {
  std::string name;
  std::optional<int> label = {};
  std::string bytes = {};    // of one that came by standard input
  std::string failure = {};  // of a folder in which no pictures can be looked for: why
};

/// Pictures in folders that are no class, by the folder's name.
using NoClass = std::map<std::string, int64_t>;

class Files : public Pictures {
 public:
  Files(std::vector<File> files, NoClass no_class)
      : files_(std::move(files)), no_class_(std::move(no_class)) {}

  int64_t size() const override { return std::ssize(files_); }
  std::string name(int64_t i) const override { return at(i).name; }
  std::optional<int> label(int64_t i) const override { return at(i).label; }
  std::vector<float> scores(int64_t i, Predictor& predictor) const override {
    const File& file = at(i);
    if (!file.failure.empty()) throw IoError(file.failure);
    if (!file.bytes.empty()) return predictor.scores(bytes_of(file.bytes));
    return predictor.scores(read_picture(file.name));
  }
  NoClass no_class() const override { return no_class_; }

 private:
  const File& at(int64_t i) const { return files_[static_cast<std::size_t>(i)]; }
  std::vector<File> files_;
  NoClass no_class_;
};

class Split : public Pictures {
 public:
  Split(DataSet data, std::string name, std::vector<int> label_of)
      : data_(std::move(data)), name_(std::move(name)), label_of_(std::move(label_of)) {}

  int64_t size() const override { return data_.size(); }
  std::string name(int64_t i) const override { return fmt::format("{}/{}", name_, i); }
  std::optional<int> label(int64_t i) const override {
    return label_of_[static_cast<std::size_t>(data_.labels()[static_cast<std::size_t>(i)])];
  }
  std::vector<float> scores(int64_t i, Predictor& predictor) const override {
    std::vector<uint8_t> buffer;
    const std::span<const uint8_t> stored = data_.image(i, buffer);
    if (data_.encoded()) return predictor.scores(stored);
    return predictor.scores(Image{data_.shape(), {stored.begin(), stored.end()}});
  }

 private:
  DataSet data_;
  std::string name_;
  std::vector<int> label_of_;  // the model's label of each of the set's
};

/// The place of `name` among `names`; none where it is not there. Throws InvalidInput, which begins
/// with `whose`, where it is there more than once.
std::optional<int> place_of(const std::string& name, const std::vector<std::string>& names,
                            const std::string& whose) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) return std::nullopt;
  if (std::find(found + 1, names.end(), name) != names.end()) {
    throw InvalidInput(
        fmt::format("{}: several classes are called '{}', so that this name does not say which is "
                    "meant; expected a name of its own for each class, or a data set whose classes "
                    "are the model's in the same order",
                    whose, name));
  }
  return static_cast<int>(found - names.begin());
}

std::unique_ptr<Pictures> open_data_set(const std::string& path, const PictureRequest& request) {
  const std::vector<std::string> splits = DataSet::splits(path);
  std::string split = request.split;
  for (const char* known : kSplits) {
    if (split.empty() && std::find(splits.begin(), splits.end(), known) != splits.end()) {
      split = known;
    }
  }
  if (std::find(splits.begin(), splits.end(), split) == splits.end()) {
    throw InvalidInput(fmt::format("--split {}: {} has {}", split, path, fmt::join(splits, ", ")));
  }
  DataSet data = DataSet::open(path, split);
  const std::vector<std::string>& names = data.info().class_names;
  std::vector<int> label_of;
  if (names.empty() || request.class_names.empty() || names == request.class_names) {
    if (data.classes() != request.classes) {
      throw InvalidInput(fmt::format("{}: has {} classes, the model tells {} apart", path,
                                     data.classes(), request.classes));
    }
    for (int i = 0; i < data.classes(); ++i) label_of.push_back(i);
  } else {
    for (const std::string& name : names) {
      place_of(name, names, path);  // each is there once
      const std::optional<int> label = place_of(name, request.class_names, "the model");
      if (!label) {
        throw InvalidInput(
            fmt::format("{}: its class '{}' is none of the model's: {}", path, name,
                        fmt::join(request.class_names.begin(),
                                  request.class_names.begin() +
                                      std::min<std::ptrdiff_t>(10, std::ssize(request.class_names)),
                                  ", ")));
      }
      label_of.push_back(*label);
    }
  }
  say(fmt::format("{}: split {}, {} images\n", path, split, data.size()));
  return std::make_unique<Split>(std::move(data), split, std::move(label_of));
}

// A folder is read by the rules of renas-prep-images (data_prep/tree.h), so that a picture counts
// here as what it is in the data set that is made of it.

/// A name as it is stored in a data set: what is not UTF-8 is taken as Latin-1.
std::string as_utf8(const std::string& name) {
  try {
    (void)nlohmann::json(name).dump();
    return name;
  } catch (const nlohmann::json::type_error&) {
  }
  std::string result;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) {
      result += c;
    } else {
      result += static_cast<char>(0xc0 | (byte >> 6));
      result += static_cast<char>(0x80 | (byte & 0x3f));
    }
  }
  return result;
}

bool named_as_picture(const fs::path& path) {
  static const std::set<std::string> endings{".jpg", ".jpeg", ".jpe", ".jfif", ".png"};
  std::string ending = path.extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return endings.contains(ending);
}

/// A picture, or a folder in which there may be some.
struct Entry {
  fs::path path;
  bool folder = false;
};

/// What is in a folder, in the order of the names' bytes, without what is hidden. A folder that
/// cannot be read is added to `files`.
std::vector<Entry> list(const fs::path& folder, std::vector<File>& files) {
  std::vector<Entry> entries;
  std::error_code failure;
  fs::directory_iterator at(folder, failure);
  for (; !failure && at != fs::directory_iterator(); at.increment(failure)) {
    const std::string name = at->path().filename().string();
    if (name.starts_with('.') || name == "__MACOSX") continue;
    std::error_code ignored;  // what cannot be looked at fails where it is read
    if (at->is_directory(ignored)) {
      entries.push_back({at->path(), true});
    } else if (named_as_picture(name) && !at->is_other(ignored)) {
      entries.push_back({at->path(), false});
    }
  }
  if (failure) {
    files.push_back({.name = folder.string(),
                     .failure = fmt::format("the folder cannot be read: {}", failure.message())});
  }
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.path.native() < b.path.native(); });
  return entries;
}

/// Adds a picture, or those below a folder. `above` are the folders that it lies in, by their true
/// paths: a link to one of them would lead round in circles.
void add_entry(const Entry& entry, const std::vector<fs::path>& above, std::vector<File>& files) {
  if (!entry.folder) {
    files.push_back({.name = entry.path.string()});
    return;
  }
  std::error_code ignored;
  const fs::path self = fs::canonical(entry.path, ignored);
  if (std::find(above.begin(), above.end(), self) != above.end()) return;
  std::vector<fs::path> around = above;
  around.push_back(self);
  for (const Entry& inner : list(entry.path, files)) add_entry(inner, around, files);
}

/// The folder of a split in `folder`, by any of the names that it may have.
std::optional<fs::path> find_split(const fs::path& folder, const std::string& split) {
  std::vector<std::string> names{split};
  if (split == "val") names = {"val", "valid", "validation", "dev"};
  for (const std::string& name : names) {
    if (fs::is_directory(folder / name)) return folder / name;
  }
  return std::nullopt;
}

/// The folder that stands for `folder`: itself, or the split of it that is asked for.
fs::path split_of(const fs::path& folder, const PictureRequest& request) {
  if (!request.split.empty()) {
    const auto found = find_split(folder, request.split);
    if (found) return *found;
    throw InvalidInput(
        fmt::format("--split {}: {} has no folder of this name", request.split, folder.string()));
  }
  for (const char* known : kSplits) {
    const auto found = find_split(folder, known);
    if (!found) continue;
    const std::string name = found->filename().string();
    if (place_of(name, request.class_names, "the model")) continue;  // a class may be called so
    say(fmt::format("{}: has splits, of which {} is taken (--split)\n", folder.string(), name));
    return *found;
  }
  return folder;
}

void add_folder(const fs::path& folder, const PictureRequest& request, std::vector<File>& files,
                NoClass& no_class) {
  const std::size_t before = files.size();
  const auto name_of = [](const fs::path& path) { return as_utf8(path.filename().string()); };
  const auto label_of = [&](const fs::path& path) {
    return place_of(name_of(path), request.class_names, "the model");
  };
  const fs::path split = split_of(folder, request);
  const std::vector<fs::path> above{fs::canonical(folder), fs::canonical(split)};
  std::optional<int> own;  // the folder may be that of a class
  if (split == folder) own = label_of(fs::absolute(folder / ".").lexically_normal().parent_path());
  for (const Entry& entry : list(split, files)) {
    const std::size_t first = files.size();
    add_entry(entry, above, files);
    std::optional<int> label = own;
    if (const auto named = entry.folder ? label_of(entry.path) : std::nullopt) label = named;
    int64_t pictures = 0;
    for (std::size_t i = first; i < files.size(); ++i) {
      files[i].label = label;
      pictures += files[i].failure.empty() ? 1 : 0;
    }
    const bool counts = entry.folder && !label && !request.class_names.empty();
    if (counts && pictures > 0) no_class[name_of(entry.path)] += pictures;
  }
  if (files.size() == before) {
    throw InvalidInput(fmt::format("{}: there are no JPEG or PNG files below it", split.string()));
  }
}

void add_standard_input(std::vector<File>& files) {
  std::string bytes;
  std::array<char, 65536> part{};
  for (std::size_t got = 0; (got = std::fread(part.data(), 1, part.size(), stdin)) > 0;) {
    bytes.append(part.data(), got);
  }
  const bool picture = bytes.starts_with("\xff\xd8\xff") || bytes.starts_with("\x89PNG");
  if (picture) {
    files.push_back({.name = "-", .bytes = std::move(bytes)});
    return;
  }
  if (bytes.find('\0') != std::string::npos) {
    throw InvalidInput(
        "standard input: expected a JPEG or PNG file, or names of files, one a line");
  }
  std::istringstream lines(bytes);
  for (std::string line; std::getline(lines, line);) {
    if (line.ends_with('\r')) line.pop_back();
    if (!line.empty()) files.push_back({.name = line});
  }
}

bool is_hdf5(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::array<char, 8> start{};
  return file.read(start.data(), start.size()) &&
         std::string_view(start.data(), start.size()) == "\x89HDF\r\n\x1a\n";
}

}  // namespace

std::unique_ptr<Pictures> find_pictures(const PictureRequest& request) {
  std::vector<File> files;
  NoClass no_class;
  for (const std::string& input : request.inputs) {
    if (input == "-") {
      add_standard_input(files);
      continue;
    }
    if (!fs::exists(input)) throw InvalidInput(fmt::format("{}: there is no such file", input));
    if (fs::is_directory(input)) {
      add_folder(input, request, files, no_class);
    } else if (is_hdf5(input)) {
      if (request.inputs.size() > 1) {
        throw InvalidInput(fmt::format("{}: a data set is asked for alone", input));
      }
      return open_data_set(input, request);
    } else {
      files.push_back({.name = input});
    }
  }
  if (files.empty()) throw InvalidInput("standard input: names no pictures");
  return std::make_unique<Files>(std::move(files), std::move(no_class));
}

}  // namespace renas::cli
