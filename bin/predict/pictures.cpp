#include "predict/pictures.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <system_error>
#include <unordered_map>
#include <utility>

#include "cli/frame.h"
#include "renas/dataset.h"
#include "renas/error.h"

namespace fs = std::filesystem;

namespace renas::cli {
namespace {

constexpr std::array kSplits{"test", "val", "train"};  // the first that is there is taken

std::span<const uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

std::string read_picture(const std::string& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) throw InvalidInput("is a folder");
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (!file.is_open() || file.bad()) {
    throw IoError(errno == 0 ? "cannot be read" : std::generic_category().message(errno));
  }
  return bytes;
}

class Files : public Pictures {
 public:
  struct File {
    std::string name;
    std::optional<int> label;
    std::string bytes = {};  // of one that came by standard input
  };
  explicit Files(std::vector<File> files) : files_(std::move(files)) {}

  int64_t size() const override { return std::ssize(files_); }
  std::string name(int64_t i) const override { return at(i).name; }
  std::optional<int> label(int64_t i) const override { return at(i).label; }
  std::vector<float> scores(int64_t i, Predictor& predictor) const override {
    if (!at(i).bytes.empty()) return predictor.scores(bytes_of(at(i).bytes));
    return predictor.scores(bytes_of(read_picture(at(i).name)));
  }

 private:
  const File& at(int64_t i) const { return files_[static_cast<std::size_t>(i)]; }
  std::vector<File> files_;
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

using Labels = std::unordered_map<std::string, int>;

Labels labels_by_name(const std::vector<std::string>& names) {
  Labels labels;
  for (std::size_t i = 0; i < names.size(); ++i) labels.emplace(names[i], static_cast<int>(i));
  return labels;
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
  if (names.empty() || request.class_names.empty()) {
    if (data.classes() != request.classes) {
      throw InvalidInput(fmt::format("{}: has {} classes, the model tells {} apart", path,
                                     data.classes(), request.classes));
    }
    for (int i = 0; i < data.classes(); ++i) label_of.push_back(i);
  } else {
    const Labels known = labels_by_name(request.class_names);
    for (const std::string& name : names) {
      const auto found = known.find(name);
      if (found == known.end()) {
        throw InvalidInput(
            fmt::format("{}: its class '{}' is none of the model's: {}", path, name,
                        fmt::join(request.class_names.begin(),
                                  request.class_names.begin() +
                                      std::min<std::ptrdiff_t>(10, std::ssize(request.class_names)),
                                  ", ")));
      }
      label_of.push_back(found->second);
    }
  }
  say(fmt::format("{}: split {}, {} images\n", path, split, data.size()));
  return std::make_unique<Split>(std::move(data), split, std::move(label_of));
}

bool named_as_picture(const fs::path& path) {
  std::string ending = path.extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return ending == ".jpg" || ending == ".jpeg" || ending == ".png";
}

/// The folder that stands for `folder`: itself, or the split of it that is asked for.
fs::path split_of(const fs::path& folder, const std::string& wanted) {
  if (!wanted.empty()) {
    if (!fs::is_directory(folder / wanted)) {
      throw InvalidInput(
          fmt::format("--split {}: {} has no folder of this name", wanted, folder.string()));
    }
    return folder / wanted;
  }
  if (!fs::is_directory(folder / "train")) return folder;
  for (const char* known : kSplits) {
    if (fs::is_directory(folder / known)) {
      say(fmt::format("{}: has splits, of which {} is taken (--split)\n", folder.string(), known));
      return folder / known;
    }
  }
  return folder;
}

void add_folder(const fs::path& folder, const Labels& labels, std::vector<Files::File>& files) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file() && named_as_picture(entry.path())) found.push_back(entry.path());
  }
  if (found.empty()) {
    throw InvalidInput(fmt::format("{}: there are no JPEG or PNG files below it", folder.string()));
  }
  std::sort(found.begin(), found.end());
  for (const fs::path& path : found) {
    const auto label = labels.find(path.parent_path().filename().string());
    files.push_back(
        {path.string(), label == labels.end() ? std::nullopt : std::optional(label->second)});
  }
}

void add_standard_input(std::vector<Files::File>& files) {
  std::string bytes;
  std::array<char, 65536> part{};
  for (std::size_t got = 0; (got = std::fread(part.data(), 1, part.size(), stdin)) > 0;) {
    bytes.append(part.data(), got);
  }
  const bool picture = bytes.starts_with("\xff\xd8\xff") || bytes.starts_with("\x89PNG");
  if (picture) {
    files.push_back({"-", std::nullopt, std::move(bytes)});
    return;
  }
  if (bytes.find('\0') != std::string::npos) {
    throw InvalidInput(
        "standard input: expected a JPEG or PNG file, or names of files, one a line");
  }
  std::istringstream lines(bytes);
  for (std::string line; std::getline(lines, line);) {
    if (line.ends_with('\r')) line.pop_back();
    if (!line.empty()) files.push_back({line, std::nullopt});
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
  const Labels labels = labels_by_name(request.class_names);
  std::vector<Files::File> files;
  for (const std::string& input : request.inputs) {
    if (input == "-") {
      add_standard_input(files);
      continue;
    }
    if (!fs::exists(input)) throw InvalidInput(fmt::format("{}: there is no such file", input));
    if (fs::is_directory(input)) {
      add_folder(split_of(input, request.split), labels, files);
    } else if (is_hdf5(input)) {
      if (request.inputs.size() > 1) {
        throw InvalidInput(fmt::format("{}: a data set is asked for alone", input));
      }
      return open_data_set(input, request);
    } else {
      files.push_back({input, std::nullopt});
    }
  }
  if (files.empty()) throw InvalidInput("standard input: names no pictures");
  return std::make_unique<Files>(std::move(files));
}

}  // namespace renas::cli
