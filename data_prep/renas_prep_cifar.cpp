// renas-prep-cifar converts CIFAR-10 and CIFAR-100, in their official binary form, to the project's
// HDF5.

#include <fmt/format.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "cifar.h"
#include "cli/frame.h"
#include "duplicates.h"
#include "files.h"
#include "names.h"
#include "outputs.h"
#include "renas/dataset_writer.h"
#include "renas/error.h"
#include "report.h"

namespace {

namespace fs = std::filesystem;
using renas::InvalidInput;
using renas::prep::CifarImages;
using renas::prep::CifarLayout;
using renas::prep::Outputs;

struct File {
  std::string name;
  std::size_t images;  // that the official one has
};

struct Version {
  std::string folder;
  CifarLayout layout;
  std::vector<File> train;
  std::vector<File> test;
  std::string names;  // file of class names
};

Version find_version(const std::string& given, bool coarse) {
  // The archives unpack to a folder of their own. Its parent folder is accepted too.
  for (const char* below : {"", "/cifar-10-batches-bin", "/cifar-100-binary"}) {
    const std::string folder = given + below;
    if (fs::exists(folder + "/data_batch_1.bin")) {
      if (coarse) throw InvalidInput("--coarse: CIFAR-10 has no coarse labels; CIFAR-100 has");
      return {folder,
              {1, 0, 10},
              {{"data_batch_1.bin", 10'000},
               {"data_batch_2.bin", 10'000},
               {"data_batch_3.bin", 10'000},
               {"data_batch_4.bin", 10'000},
               {"data_batch_5.bin", 10'000}},
              {{"test_batch.bin", 10'000}},
              "batches.meta.txt"};
    }
    if (fs::exists(folder + "/train.bin")) {
      return {folder,
              {2, coarse ? 0 : 1, coarse ? 20 : 100},
              {{"train.bin", 50'000}},
              {{"test.bin", 10'000}},
              coarse ? "coarse_label_names.txt" : "fine_label_names.txt"};
    }
  }
  throw InvalidInput(fmt::format(
      "{}: neither data_batch_1.bin (CIFAR-10, binary version) nor train.bin (CIFAR-100, "
      "binary version) is there",
      given));
}

CifarImages read_images(const Version& version, const std::vector<File>& files,
                        const Outputs& outputs, renas::prep::Report& report) {
  CifarImages images;
  for (const File& file : files) {
    const std::string path = version.folder + "/" + file.name;
    outputs.expect_other(path);
    const std::size_t before = images.labels.size();
    renas::prep::parse_cifar(renas::prep::read_file(path), version.layout, path, images);
    const std::size_t count = images.labels.size() - before;
    if (count == file.images) continue;
    report.note(
        fmt::format("{}: expected {} images, as the official file has; found {}: is it cut "
                    "off?",
                    file.name, file.images, count));
  }
  return images;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Turns CIFAR-10 or CIFAR-100 (the binary version of their web page, unpacked) into a data "
      "set "
      "for RENAS.\n\n"
      "  renas-prep-cifar cifar-10-batches-bin cifar10.h5\n"
      "  renas-prep-cifar cifar-100-binary cifar100.h5",
      "renas-prep-cifar");
  renas::cli::prepare(app);
  std::string folder;
  std::string out;
  bool coarse = false;
  bool force = false;
  app.add_option("DIR", folder,
                 "Folder with data_batch_1.bin ... (CIFAR-10) or train.bin (CIFAR-100)")
      ->required()
      ->check(CLI::ExistingDirectory);
  app.add_option("OUT", out, "The HDF5 file to write")->required();
  app.add_flag("--coarse", coarse, "CIFAR-100: the 20 coarse labels instead of the 100 fine ones");
  app.add_flag("--force", force, "Overwrite OUT where it exists");
  return renas::cli::run(app, argc, argv, [&] {
    Outputs outputs(out, force);
    const Version version = find_version(folder, coarse);
    const std::string names_path = version.folder + "/" + version.names;
    outputs.expect_other(names_path);
    renas::prep::Report report;
    const CifarImages train = read_images(version, version.train, outputs, report);
    const CifarImages test = read_images(version, version.test, outputs, report);
    renas::DataSetInfo info;
    info.source = renas::prep::as_utf8(
        fmt::format("CIFAR-{} in {}", version.layout.label_bytes == 1 ? 10 : 100, folder));
    info.classes = version.layout.classes;
    std::vector<std::string> names = renas::prep::read_lines(names_path);
    std::erase(names, "");
    if (static_cast<int>(names.size()) != info.classes) {
      throw InvalidInput(
          fmt::format("{}: {} names for {} classes", names_path, names.size(), info.classes));
    }
    info.class_names = renas::prep::class_names(std::move(names), names_path, report);
    renas::ChannelStatistics statistics(3);
    statistics.add(train.pixels);
    info.mean = statistics.mean();
    info.sd = statistics.sd();
    renas::prep::Duplicates duplicates;
    const renas::Shape shape{3, 32, 32};
    const auto add = [&](const char* split, const CifarImages& images) {
      outputs.data().begin_split(split, shape);
      outputs.data().add_all(images.pixels, images.labels);
      report.count(split, images.labels);
      duplicates.add_all(split, images.pixels, images.labels);
    };
    add("train", train);
    add("test", test);
    outputs.finish(info, report);
    report.print(out, info);
    duplicates.print("");
    return renas::cli::kDone;
  });
}
