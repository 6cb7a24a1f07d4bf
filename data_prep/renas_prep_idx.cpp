// renas-prep-idx converts IDX files, as MNIST and Fashion-MNIST have, to the project's HDF5.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "cli/frame.h"
#include "idx.h"
#include "renas/dataset_writer.h"
#include "renas/error.h"
#include "report.h"

namespace {

using renas::InvalidInput;
using renas::prep::IdxArray;

constexpr const char* kFashionMnist[] = {"T-shirt/top", "Trouser",   "Pullover", "Dress",
                                         "Coat",        "Sandal",    "Shirt",    "Sneaker",
                                         "Bag",         "Ankle boot"};

// Finds `folder`/`name`, plain or with .gz.
std::string find(const std::string& folder, const std::string& name) {
  for (const char* end : {"", ".gz"}) {
    std::string path = folder + "/" + name + end;
    if (std::filesystem::exists(path)) return path;
  }
  throw InvalidInput(
      fmt::format("{}: neither {} nor {}.gz is there; expected train-images-idx3-ubyte, "
                  "train-labels-idx1-ubyte, "
                  "t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte",
                  folder, name, name));
}

struct Part {
  renas::Shape shape;
  std::vector<uint8_t> pixels;
  std::vector<int32_t> labels;
};

Part read_part(const std::string& folder, const std::string& prefix) {
  const std::string images_path = find(folder, prefix + "-images-idx3-ubyte");
  const std::string labels_path = find(folder, prefix + "-labels-idx1-ubyte");
  IdxArray images = renas::prep::read_idx(images_path);
  const IdxArray labels = renas::prep::read_idx(labels_path);
  const std::vector<int64_t>& dims = images.dims;
  // Three dimensions are grey images; a fourth is their channels.
  if (dims.size() < 3 || dims[1] < 1 || dims[2] < 1 || dims[1] > 65536 || dims[2] > 65536 ||
      (dims.size() == 4 && (dims[3] < 1 || dims[3] > 65536))) {
    throw InvalidInput(fmt::format("{}: expected images x rows x columns; found {}", images_path,
                                   fmt::join(dims, " x ")));
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

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Turns IDX files (MNIST, Fashion-MNIST and their like; plain or .gz) into a data set for "
      "RENAS.",
      "renas-prep-idx");
  renas::cli::prepare(app);
  std::string folder;
  std::string out;
  std::vector<std::string> names;
  bool force = false;
  app.add_option("DIR", folder, "Folder with train-images-idx3-ubyte[.gz] and its three companions")
      ->required()
      ->check(CLI::ExistingDirectory);
  app.add_option("OUT", out, "The HDF5 file to write")->required();
  app.add_option("--class-names", names, "Names of the classes, label 0 first")->delimiter(',');
  app.add_flag("--force", force, "Overwrite OUT where it exists");
  return renas::cli::run(app, argc, argv, [&] {
    renas::DataSetWriter writer(out, force);
    const Part train = read_part(folder, "train");
    const Part test = read_part(folder, "t10k");
    if (!(train.shape == test.shape)) {
      throw InvalidInput(fmt::format("{}: training images are {}, test images {}", folder,
                                     to_string(train.shape), to_string(test.shape)));
    }
    renas::DataSetInfo info;
    info.source = "IDX files in " + folder;
    int32_t largest = 0;
    for (const Part* part : {&train, &test}) {
      for (const int32_t label : part->labels) largest = std::max(largest, label);
    }
    info.classes = largest + 1;
    if (names.empty() && info.classes == 10 && folder.find("fashion") != std::string::npos) {
      names.assign(std::begin(kFashionMnist), std::end(kFashionMnist));
    }
    if (!names.empty() && static_cast<int>(names.size()) != info.classes) {
      throw InvalidInput(fmt::format("--class-names: {} names, but the labels go from 0 to {}",
                                     names.size(), largest));
    }
    info.class_names = names;
    renas::ChannelStatistics statistics(train.shape.channels);
    statistics.add(train.pixels);
    info.mean = statistics.mean();
    info.sd = statistics.sd();

    renas::prep::Report report;
    for (const auto& [split, part] : {std::pair{"train", &train}, std::pair{"test", &test}}) {
      writer.begin_split(split, part->shape);
      writer.add_all(part->pixels, part->labels);
      report.count(split, part->labels);
    }
    writer.finish(info);
    report.print(out, info);
    return renas::cli::kDone;
  });
}
