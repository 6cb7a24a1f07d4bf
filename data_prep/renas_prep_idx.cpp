// renas-prep-idx converts IDX files, as MNIST and Fashion-MNIST have, to the project's HDF5.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "classes.h"
#include "cli/frame.h"
#include "duplicates.h"
#include "idx.h"
#include "names.h"
#include "outputs.h"
#include "renas/dataset_writer.h"
#include "renas/error.h"
#include "report.h"

namespace {

using renas::InvalidInput;
using renas::prep::IdxArray;
using renas::prep::Outputs;

constexpr const char* kFashionMnist[] = {"T-shirt/top", "Trouser",   "Pullover", "Dress",
                                         "Coat",        "Sandal",    "Shirt",    "Sneaker",
                                         "Bag",         "Ankle boot"};

// The ends of the names of a set's images for training, before .gz.
constexpr const char* kTrainImages[] = {"train-images-idx3-ubyte", "train-images.idx3-ubyte"};

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

// What stands before "train-images..." in the names of a folder's files, as "emnist-letters-".
std::set<std::string> prefixes_in(const std::string& folder) {
  std::set<std::string> prefixes;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::string name = entry.path().filename().string();
    if (ends_with(name, ".gz")) name.resize(name.size() - 3);
    for (const char* end : kTrainImages) {
      if (ends_with(name, end)) prefixes.insert(name.substr(0, name.size() - std::strlen(end)));
    }
  }
  return prefixes;
}

// The set of a folder: the one named by `wanted`, or the only one.
std::string find_prefix(const std::string& folder, const std::string& wanted) {
  const std::set<std::string> prefixes = prefixes_in(folder);
  if (!wanted.empty()) {
    for (const std::string& prefix : {wanted, wanted + "-"}) {
      if (prefixes.count(prefix) > 0) return prefix;
    }
    throw InvalidInput(fmt::format("--prefix {}: {} has no file {}-train-images-idx3-ubyte[.gz]",
                                   wanted, folder, wanted));
  }
  if (prefixes.size() > 1 && prefixes.count("") == 0) {
    throw InvalidInput(fmt::format("{}: several sets lie there; --prefix names one of: {}", folder,
                                   fmt::join(prefixes, ", ")));
  }
  return prefixes.size() == 1 ? *prefixes.begin() : "";
}

// Finds the file of `what` ("images-idx3" or "labels-idx1") of a split in any of its usual names,
// plain or with .gz.
std::string find(const std::string& folder, const std::string& prefix, const std::string& split,
                 const std::string& what) {
  std::string dotted = what;
  dotted[what.find('-')] = '.';
  std::vector<std::string> splits{split};
  if (split == "t10k") splits.emplace_back("test");
  for (const std::string& name : splits) {
    for (const std::string& form : {what, dotted}) {
      for (const char* end : {"", ".gz"}) {
        std::string path = fmt::format("{}/{}{}-{}-ubyte{}", folder, prefix, name, form, end);
        if (std::filesystem::exists(path)) return path;
      }
    }
  }
  const std::string name = fmt::format("{}{}-{}-ubyte", prefix, split, what);
  throw InvalidInput(fmt::format(
      "{}: neither {} nor {}.gz is there; expected train-images-idx3-ubyte, "
      "train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte (or test for "
      "t10k, .idx for -idx, and before it all a name as emnist-letters-)",
      folder, name, name));
}

struct Part {
  renas::Shape shape;
  std::vector<uint8_t> pixels;
  std::vector<int32_t> labels;
};

Part read_part(const std::string& folder, const std::string& prefix, const std::string& split,
               const Outputs& outputs) {
  const std::string images_path = find(folder, prefix, split, "images-idx3");
  const std::string labels_path = find(folder, prefix, split, "labels-idx1");
  for (const std::string& path : {images_path, labels_path}) outputs.expect_other(path);
  IdxArray images = renas::prep::read_idx(images_path);
  const IdxArray labels = renas::prep::read_idx(labels_path);
  const std::vector<int64_t>& dims = images.dims;
  // Three dimensions are grey images; a fourth is their channels.
  if (dims.size() < 3 || dims[0] < 1 || dims[1] < 1 || dims[2] < 1 || dims[1] > 65536 ||
      dims[2] > 65536 || (dims.size() == 4 && (dims[3] < 1 || dims[3] > 65536))) {
    throw InvalidInput(
        fmt::format("{}: expected images x rows x columns, one or more of each; found {}",
                    images_path, fmt::join(dims, " x ")));
  }
  if (labels.dims.size() != 1) {
    throw InvalidInput(fmt::format("{}: expected one dimension; found {}", labels_path,
                                   fmt::join(labels.dims, " x ")));
  }
  if (labels.dims[0] != dims[0]) {
    throw InvalidInput(fmt::format("{}: {} labels, but {} has {} images", labels_path,
                                   labels.dims[0], images_path, dims[0]));
  }
  Part part;
  part.shape = {dims.size() == 4 ? static_cast<int>(dims[3]) : 1, static_cast<int>(dims[1]),
                static_cast<int>(dims[2])};
  part.pixels = std::move(images.values);
  part.labels.assign(labels.values.begin(), labels.values.end());
  return part;
}

// Checks that the classes of test images have training images.
void check_trained(const std::string& folder, const Part& train, const Part& test,
                   const renas::DataSetInfo& info, const renas::prep::ClassRules& rules) {
  std::vector<std::string> names = info.class_names;
  for (int c = static_cast<int>(names.size()); c < info.classes; ++c) {
    names.push_back(std::to_string(c));
  }
  renas::prep::ClassCounts counts;
  for (const auto& [split, part] : {std::pair{"train", &train}, std::pair{"test", &test}}) {
    counts[split].resize(names.size());
    for (const int32_t label : part->labels) ++counts[split][label];
  }
  renas::prep::check_classes(folder, names, counts, rules);
}

// Exchanges the rows and columns of every image.
void transpose(Part& part) {
  const auto height = static_cast<std::size_t>(part.shape.height);
  const auto width = static_cast<std::size_t>(part.shape.width);
  const auto channels = static_cast<std::size_t>(part.shape.channels);
  const std::vector<uint8_t> from = part.pixels;
  uint8_t* out = part.pixels.data();
  for (std::size_t begin = 0; begin < from.size(); begin += height * width * channels) {
    for (std::size_t x = 0; x < width; ++x) {
      for (std::size_t y = 0; y < height; ++y) {
        out = std::copy_n(&from[begin + (y * width + x) * channels], channels, out);
      }
    }
  }
  std::swap(part.shape.height, part.shape.width);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Turns IDX files (MNIST, Fashion-MNIST, EMNIST and their like; plain or .gz) into a data set "
      "for RENAS.\n\n"
      "  renas-prep-idx /usr/share/datasets/fashion-mnist fashion.h5\n"
      "  renas-prep-idx gzip letters.h5 --prefix emnist-letters --transpose",
      "renas-prep-idx");
  renas::cli::prepare(app);
  std::string folder;
  std::string out;
  std::vector<std::string> names;
  std::string wanted;
  int labels_from = -1;
  bool transposed = false;
  renas::prep::ClassRules rules;
  bool force = false;
  app.add_option("DIR", folder,
                 "Folder with train-images-idx3-ubyte[.gz] and its three companions; the names may "
                 "have test for t10k, .idx for -idx, and a name before")
      ->required()
      ->check(CLI::ExistingDirectory);
  app.add_option("OUT", out, "The HDF5 file to write")->required();
  app.add_option("--class-names", names, "Names of the classes, label 0 first")->delimiter(',');
  app.add_option(
      "--prefix", wanted,
      "Which of several sets in DIR: what stands before train-images, as emnist-letters");
  app.add_option("--labels-from", labels_from,
                 "The label of the first class in the files; -1: 1 where no image has label 0, as "
                 "in EMNIST's letters, else 0")
      ->check(CLI::Range(-1, 1));
  app.add_flag("--allow-class-differences", rules.allow_differences,
               "Go on where test images are of classes that training images lack");
  app.add_flag("--transpose", transposed,
               "Exchange rows and columns: EMNIST's images lie on a side");
  app.add_flag("--force", force, "Overwrite OUT where it exists");
  return renas::cli::run(app, argc, argv, [&] {
    Outputs outputs(out, force);
    renas::prep::Report report;
    const std::string prefix = find_prefix(folder, wanted);
    Part train = read_part(folder, prefix, "train", outputs);
    Part test = read_part(folder, prefix, "t10k", outputs);
    if (transposed) {
      transpose(train);
      transpose(test);
    } else if (prefix.rfind("emnist", 0) == 0) {
      report.note("images of EMNIST lie on a side in their files; --transpose turns them upright");
    }
    if (!(train.shape == test.shape)) {
      throw InvalidInput(fmt::format("{}: training images are {}, test images {}", folder,
                                     to_string(train.shape), to_string(test.shape)));
    }
    renas::DataSetInfo info;
    info.source = renas::prep::as_utf8("IDX files in " + folder);
    int32_t least = 255;
    int32_t largest = 0;
    for (const Part* part : {&train, &test}) {
      for (const int32_t label : part->labels) {
        least = std::min(least, label);
        largest = std::max(largest, label);
      }
    }
    if (labels_from < 0) labels_from = least == 1 ? 1 : 0;
    if (least < labels_from) {
      throw InvalidInput("--labels-from 1: there are images with label 0");
    }
    if (labels_from > 0) {
      for (Part* part : {&train, &test}) {
        for (int32_t& label : part->labels) label -= labels_from;
      }
      report.note(
          fmt::format("labels {} to {} of the files are stored as 0 to {} (--labels-from 0 "
                      "keeps them)",
                      least, largest, largest - 1));
      largest -= labels_from;
    }
    info.classes = largest + 1;
    if (names.empty() && info.classes == 10 && folder.find("fashion") != std::string::npos) {
      names.assign(std::begin(kFashionMnist), std::end(kFashionMnist));
    }
    if (!names.empty() && static_cast<int>(names.size()) != info.classes) {
      throw InvalidInput(fmt::format("--class-names: {} names, but the labels go from 0 to {}",
                                     names.size(), largest));
    }
    info.class_names = renas::prep::class_names(names, "--class-names", report);
    check_trained(folder, train, test, info, rules);
    renas::ChannelStatistics statistics(train.shape.channels);
    statistics.add(train.pixels);
    info.mean = statistics.mean();
    info.sd = statistics.sd();

    renas::prep::Duplicates duplicates;
    for (const auto& [split, part] : {std::pair{"train", &train}, std::pair{"test", &test}}) {
      outputs.data().begin_split(split, part->shape);
      outputs.data().add_all(part->pixels, part->labels);
      report.count(split, part->labels);
      duplicates.add_all(split, part->pixels, part->labels);
    }
    outputs.finish(info, report);
    report.print(out, info);
    duplicates.print("");
    return renas::cli::kDone;
  });
}
